export { accuracy, f1, macroF1, matthewsCorrelation } from './classification.js';
export { exactMatch, numWithoutMark } from './exact-match.js';
export { LabelPredictions } from './label-predictions.js';
export { exactLabels, meanF1 } from './multi-label.js';
export { pearsonCorrelation, spearmanCorrelation } from './regression.js';
export { tokenAccuracy } from './token-accuracy.js';
