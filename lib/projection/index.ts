export {
  ProjectionScheduler,
  type ProjectionScalars,
  type ProjectionState,
  type RefreshOptions,
} from './scheduler.js';
