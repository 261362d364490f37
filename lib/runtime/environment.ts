import { createHash } from 'node:crypto';
import { checkOptions, checkValue, flag, oneOf, optional } from '../options.js';
import { addon } from './addon.js';
import { cpuModel, memoryBytes, physicalCores } from './cpu.js';
import { type CudaReport, cudaReport } from './cuda.js';
import { type DeviceReport, devices, findInstructionSet } from './device.js';
import { threadCount } from './options.js';
import { packageVersion } from './package-files.js';

/** What this machine and this installation have. */
export interface Environment {
  /** Of this package. */
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly cpu: {
    readonly model: string;
    readonly features: readonly string[];
    readonly instructionSets: readonly string[];
    /** Instruction set that an engine uses unless told otherwise. */
    readonly chosen: string;
    readonly threads: number;
  };
  /** Of this machine, or of the container where that has less. */
  readonly memoryBytes: number;
  readonly devices: readonly DeviceReport[];
  readonly cuda: CudaReport;
  /** Names of the ops that the addon computes on the CPU. */
  readonly ops: readonly string[];
  /** Hash of the 65,536 outputs of the projection's generator, as computed by the running code. */
  readonly projection: { readonly sha256: Readonly<Record<string, string>> };
}

/**
 * What this machine offers, for bug reports and benchmarks: the output of `compact-train inspect --json`.
 * @param options.probe let every CUDA device compute something small, which takes some of its memory for this process
 */
export function environment(options: { readonly probe?: boolean } = {}): Environment {
  const context = { what: 'environment', code: 'ERR_COMPACT_ARGUMENT' } as const;
  const { probe } = checkOptions(options, { probe: optional(flag, false) }, context);
  const { features, instructionSets } = addon().cpuFeatures();
  return {
    version: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: {
      model: cpuModel(),
      features,
      instructionSets,
      chosen: findInstructionSet('auto'),
      threads: physicalCores(),
    },
    memoryBytes: memoryBytes(),
    devices: devices(),
    cuda: cudaReport({ probe }),
    ops: addon()
      .ops('cpu')
      .map(({ name }) => name),
    projection: { sha256: Object.fromEntries(instructionSets.map((set) => [set, tableHash(set)])) },
  };
}

/**
 * Floating-point operations per second that this CPU reaches with the instruction that products of this type are made
 * of. Takes a tenth of a second, during which the event loop waits; undefined where it cannot be measured.
 */
export const peakRate = (
  instructionSet: string,
  dtype: 'f32' | 'bf16',
  threads: number,
): number | undefined => {
  checkValue(dtype, oneOf(['f32', 'bf16']), 'dtype', 'ERR_COMPACT_ARGUMENT');
  checkValue(threads, threadCount, 'threads', 'ERR_COMPACT_ARGUMENT');
  return addon().peakRate(findInstructionSet(instructionSet), dtype, threads);
};

/** SHA-256 of the table's little-endian bytes. */
function tableHash(instructionSet: string): string {
  const { buffer, byteOffset, byteLength } = addon().projectionTable(instructionSet);
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
}
