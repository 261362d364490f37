export { type LargestBatch, type Remedy, largestBatch, remedies } from './fit.js';
export {
  type BytesByKind,
  type HeldBytes,
  type MemoryReport,
  type PeakMoment,
  memoryReport,
} from './report.js';
export type { MemoryTimeline } from './timeline.js';
