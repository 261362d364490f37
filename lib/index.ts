/**
 * Train transformers in far less memory.
 *
 * The usual way in is `Trainer`; `compile` and `memoryReport` answer questions about memory without training;
 * `Engine` runs plans for those who write their own loop.
 *
 * @example
 * import { Trainer, compact, llama } from 'compact-train';
 *
 * await using trainer = await Trainer.create({
 *   model: llama('llama-demo'),
 *   method: compact({ rankRatio: 0.25 }),
 *   data: { train: 'book.txt' },
 *   batchSize: 8, sequenceLength: 128, maxSteps: 200, learningRate: 0.01,
 * });
 * for await (const { step, loss } of trainer) console.log(step, loss);
 */
export * from './compile/index.js';
export * from './data/index.js';
export {
  type CompactError,
  type CompactErrorCode,
  type CompactErrorFields,
  compactErrorCodes,
  isCompactError,
} from './errors.js';
export * from './graph/index.js';
export * from './memory/index.js';
export * from './methods/index.js';
export * from './models/index.js';
export * from './optim/index.js';
export * from './projection/index.js';
export * from './runtime/index.js';
export * from './train/index.js';
