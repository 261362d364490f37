import { Option } from 'commander';
import type { Target } from '../../compile/index.js';
import { cudaReport, deviceTarget, environment, findDevice, type DeviceKind } from '../../runtime/index.js';

/** The device that a benchmark runs on. */
export interface BenchDevice {
  readonly kind: DeviceKind;
  /** For engines and trainers: 'cpu' or 'cuda:N'. */
  readonly word: string;
  /** Absent for the CPU. */
  readonly gpu?: { readonly name: string; readonly computeCapability: string };
  /** Worker threads of the CPU. */
  readonly threads: number;
  readonly target: Target;
}

export const deviceOption = (): Option =>
  new Option('--device <device>', 'cpu, cuda, cuda:N or auto').default('cpu');

/**
 * @param threads default: physical cores
 * @throws ERR_COMPACT_ARGUMENT, ERR_COMPACT_DEVICE_UNAVAILABLE
 */
export function benchDevice(flag: string, threads = environment().cpu.threads): BenchDevice {
  const { kind, index, name } = findDevice(flag);
  const target = deviceTarget(kind, { threads });
  if (kind === 'cpu') return { kind, word: kind, threads, target };
  return { kind, word: name, gpu: cudaReport({ kind }).devices[index]!, threads, target };
}
