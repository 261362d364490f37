export { memoryBytes } from './cpu.js';
export { cpuTarget } from './cpu-target.js';
export { type Device, type DeviceReport, devices } from './device.js';
export { Engine } from './engine.js';
export { type Environment, environment } from './environment.js';
export type { DeviceKind, EngineMemory, EngineOptions, HostArray, RunOptions, RunResult } from './types.js';
