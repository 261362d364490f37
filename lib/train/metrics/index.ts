export { accuracy, f1, macroF1, matthewsCorrelation } from './classification.js';
export { pearsonCorrelation, spearmanCorrelation } from './regression.js';
