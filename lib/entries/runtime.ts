/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `compact-train/runtime`: for those who write their own loop. The engine that runs plans, devices and targets, what this
 * machine has, batches of text, and the clock of a method's steps.
 *
 * @example
 * import { Engine, environment } from 'compact-train/runtime';
 */
export * from '../data/index.js';
export { type Clock, type ClockStates, type Refresh, StepClock } from '../methods/index.js';
export * from '../runtime/index.js';
