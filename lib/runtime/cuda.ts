import { checkOptions, flag, oneOf, optional } from '../options.js';
import { addon } from './addon.js';
import { loadModule } from './modules.js';
import type { CudaKind, DeviceProblem } from './types.js';

/** One GPU, as its driver describes it. */
export interface CudaDevice {
  readonly index: number;
  readonly name: string;
  /** Like '9.0'. */
  readonly computeCapability: string;
  readonly totalBytes: number;
  /** Null unless asked for, or when the device cannot be used. */
  readonly freeBytes: number | null;
  /** Why it cannot be used. */
  readonly problem: string | null;
  readonly reason: DeviceProblem | null;
}

/** What the CUDA module and the driver say. */
export interface CudaReport {
  /** File of the CUDA module. */
  readonly module: string | null;
  /** Device code in the module, GPU or not: '90a' for one architecture, 'compute_80' for code that the driver finishes. */
  readonly architectures: readonly string[];
  /** CUDA versions like '13.0': of the driver on this machine, of the runtime in the module. */
  readonly driver: string | null;
  readonly runtime: string | null;
  readonly devices: readonly CudaDevice[];
  /** Why no device can be used, as a sentence and as a word. */
  readonly problem: string | null;
  readonly reason: DeviceProblem | null;
}

const reportTable = {
  kind: optional(oneOf(['cuda', 'cuda-emulated']), 'cuda'),
  probe: optional(flag, false),
};

/**
 * What the CUDA module and this machine offer. Takes nothing from any device, except with `probe`.
 * @param options.probe let every device compute something small; a device keeps what the driver takes for it
 */
export function cudaReport(options: { readonly kind?: CudaKind; readonly probe?: boolean } = {}): CudaReport {
  const context = { what: 'cudaReport', code: 'ERR_COMPACT_ARGUMENT' } as const;
  const { kind, probe } = checkOptions(options, reportTable, context);
  const module = loadModule(kind);
  if (module.path === undefined)
    return {
      module: null,
      architectures: [],
      driver: null,
      runtime: null,
      devices: [],
      problem: module.problem,
      reason: module.reason,
    };
  const { architectures, driver, runtime, devices: found, problem } = addon().describe(kind);
  const devices = found.map((device, index): CudaDevice => {
    const usable = device.problem === '';
    const probed = probe && usable ? addon().probe(kind, index) : undefined;
    const fault = probed?.problem ?? '';
    return {
      index,
      name: device.name,
      computeCapability: `${Math.trunc(device.computeCapability / 10)}.${device.computeCapability % 10}`,
      totalBytes: device.totalBytes,
      freeBytes: probed === undefined || fault !== '' ? null : probed.freeBytes,
      problem: (usable ? fault : device.problem) || null,
      reason: usable ? (fault === '' ? null : 'device-fault') : deviceReason(device.computeCapability),
    };
  });
  const first = devices.some((device) => device.problem === null) ? undefined : devices[0];
  return {
    module: module.path,
    architectures: architectures.split(' '),
    driver: version(driver),
    runtime: version(runtime),
    devices,
    problem: problem || (first?.problem ?? null),
    reason: problem === '' ? (first?.reason ?? null) : machineReason(driver, runtime),
  };
}

const version = (number: number): string | null =>
  number === 0 ? null : `${Math.trunc(number / 1000)}.${Math.trunc((number % 1000) / 10)}`;

/** A driver serves every runtime up to its own major version. */
function machineReason(driver: number, runtime: number): DeviceProblem {
  if (driver === 0) return 'driver-absent';
  return Math.trunc(driver / 1000) < Math.trunc(runtime / 1000) ? 'driver-too-old' : 'no-device';
}

const deviceReason = (computeCapability: number): DeviceProblem =>
  computeCapability > 0 && computeCapability < 80 ? 'architecture-unsupported' : 'device-fault';
