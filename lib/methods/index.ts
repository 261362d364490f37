export { compact } from './compact.js';
export {
  compressibleRoles,
  type CompactOptions,
  type CompressibleRole,
  type RankOptions,
} from './compact-options.js';
export { learningRateOf, type AdamOptions } from './adam.js';
export { dense, type DenseOptions } from './dense.js';
export { methodFromDescription, methodNames } from './from-description.js';
export type { Keep, Method, UpdateContext } from './method.js';
