import type { Target } from '../compile/index.js';
import { checkOptions } from '../options.js';
import { cpuTarget } from './cpu-target.js';
import { cudaTarget } from './cuda-target.js';
import { findDevice, parseDevice } from './device.js';
import { targetTable } from './options.js';
import type { DeviceName } from './types.js';

/**
 * The target of the compiler that a device word stands for. A named device need not be on this machine.
 * @param device 'cpu', 'cuda', 'cuda:N' or 'auto'
 * @param options.threads worker threads of the CPU; default: physical cores of this machine
 * @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_DEVICE_UNAVAILABLE when the device's module is not installed
 */
export function deviceTarget(
  device: DeviceName,
  options: { readonly threads?: number | undefined } = {},
): Target {
  checkOptions(options, targetTable, { what: 'deviceTarget', code: 'ERR_COMPACT_ARGUMENT' });
  const { kind } = device === 'auto' ? findDevice(device) : parseDevice(device);
  return kind === 'cpu' ? cpuTarget(options) : cudaTarget(kind);
}
