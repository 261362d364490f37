export { Dataset } from './dataset.js';
export type { DatasetOptions, PreparedDataset } from './dataset.js';
export { fieldsOf, isPackedData, isRecordData, prepareData } from './run-data.js';
export type { PreparedData, RunData } from './run-data.js';
export type {
  CsvSeparator,
  RecordDataOptions,
  RecordFiles,
  RecordFormat,
  RecordKind,
  RecordsOptions,
  PreferenceAnswers,
  RecordStatistics,
  WeightedFile,
} from './records/index.js';
export { encodeBounded } from './encode-bounded.js';
export { TextStream } from './text-stream.js';
export { checkVocabulary, loadTokenizer } from './tokenizer.js';
export type { TokenizeControl, TokenizeProgress } from './tokenize.js';
export * from './types.js';
