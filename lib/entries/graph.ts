/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `compact-train/graph`: for those who write models, ops or methods, or read plans. Graphs and their ops, the interface of
 * a method, the compiler with what it gives, and the ledger of memory.
 *
 * @example
 * import { Graph, linear } from 'compact-train/graph';
 */
export * from '../compile/index.js';
export * from '../graph/index.js';
export * from '../memory/index.js';
export * from '../methods/index.js';
export { modelFromDescription, modelFromPretrainedConfig } from '../models/index.js';
