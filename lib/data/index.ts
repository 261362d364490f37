export { Dataset } from './dataset.js';
export type { PreparedDataset } from './dataset.js';
export { TextStream } from './text-stream.js';
export { checkVocabulary, loadTokenizer } from './tokenizer.js';
export * from './types.js';
