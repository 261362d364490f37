export { accuracy, f1, macroF1, matthewsCorrelation } from './classification.js';
export { ClassPredictions } from './class-predictions.js';
export { pearsonCorrelation, spearmanCorrelation } from './regression.js';
export { tokenAccuracy } from './token-accuracy.js';
