export { memoryBytes } from './cpu.js';
export { cpuTarget } from './cpu-target.js';
export { type CudaDevice, type CudaReport, cudaReport } from './cuda.js';
export { cudaTarget } from './cuda-target.js';
export { type Device, type DeviceReport, devices, findDevice } from './device.js';
export { Engine } from './engine.js';
export { type FileLockResult, lockFile } from './file-lock.js';
export { type Environment, environment, peakRate } from './environment.js';
export { deviceTarget } from './target.js';
export { blasChoices, graphChoices, hostDTypes } from './types.js';
export type {
  BlasChoice,
  CudaKind,
  DeviceKind,
  DeviceName,
  DeviceProblem,
  EngineMemory,
  EngineOptions,
  EntryGraphs,
  GraphChoice,
  GraphState,
  HostArray,
  HostDType,
  RowsLayout,
  RunOptions,
  RunResult,
} from './types.js';
