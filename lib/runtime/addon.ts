import { dirname } from 'node:path';
import { compactError } from '../errors.js';
import { addonFiles, builtFolders, prebuiltFolder } from './package-files.js';
import type { GraphState, RowsLayout } from './types.js';

/** One engine of the addon. Every promise settles in the order of the calls. */
export interface NativeEngine {
  open(): Promise<number>;
  load(plan: Uint8Array): Promise<number>;
  write(value: string, byteOffset: number, data: NodeJS.TypedArray): Promise<number>;
  /** `rows` in shared memory. */
  writeRows(value: string, rows: Uint8Array, layout: Required<RowsLayout>): Promise<number>;
  read(value: string, byteOffset: number, target: NodeJS.TypedArray): Promise<number>;
  /**
   * Fills `outputs` and `profileUs`; gives milliseconds. `cancelled[0] !== 0` before the device has begun: not run.
   * Where a device can, a run that waits behind another is enqueued while that one computes.
   */
  run(
    entry: string,
    scalars: Float64Array,
    inputs: readonly NodeJS.TypedArray[],
    outputs: readonly NodeJS.TypedArray[],
    checkFinite: boolean,
    cancelled: Uint8Array,
    profileUs: Float64Array | undefined,
  ): Promise<number>;
  /** `freeBytes` is 0 where the device has no memory of its own. */
  memory(): {
    persistentBytes: number;
    arenaBytes: number;
    allocatedBytes: number;
    overheadBytes: number;
    freeBytes: number;
  };
  /** Of each entry of the plan; empty where the device has no graphs. Numbers are 0 until measured. */
  graphs(): {
    entry: string;
    state: GraphState;
    plainMs: number;
    recordedMs: number;
    problem: string;
  }[];
  close(): Promise<number>;
}

export interface NativeEngineOptions {
  readonly device: string;
  readonly deviceIndex: number;
  readonly threads: number;
  readonly instructionSet: string;
  readonly blas: string;
  readonly graphs: string;
  readonly memoryLimitBytes: number;
}

/** A lock of a file, taken when it is made, where that is possible at once. Free again with the object. */
export interface NativeFileLock {
  state(): 'locked' | 'held' | 'unsupported' | 'failed';
  /** What the holder wrote, when it is held. */
  holder(): string;
  /** As errno counts, when it failed. */
  error(): number;
  /** Removes the file and gives the lock back. */
  release(): void;
}

interface NativeOperand {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** What a backend says of itself and of this machine. Numbers are 0 and texts empty where there is none. */
export interface NativeBackendInfo {
  readonly architectures: string;
  /** As CUDA counts: 13000 is 13.0. */
  readonly driver: number;
  readonly runtime: number;
  readonly problem: string;
  readonly devices: readonly {
    readonly name: string;
    /** 10 * major + minor. */
    readonly computeCapability: number;
    readonly totalBytes: number;
    readonly problem: string;
  }[];
}

/** The interface of the `.node` file: native/binding. Arguments are trusted to be of these types. */
export interface NativeAddon {
  readonly NativeEngine: new (options: NativeEngineOptions) => NativeEngine;
  readonly FileLock: new (path: string, text: string) => NativeFileLock;
  /** Loads the module of a device kind; undefined when it is loaded, now or before. */
  loadModule(
    kind: string,
    path: string,
  ): { reason: 'module-broken' | 'module-version'; expected: string; received: string } | undefined;
  describe(kind: string): NativeBackendInfo;
  /** Lets a device that has no problem compute something small. */
  probe(kind: string, index: number): { freeBytes: number; problem: string };
  /** `isPrepared` and `isGrouped`: whether the backend has `prepare` and `run_group` for the op. */
  ops(
    device: string,
  ): { name: string; operands: string; attributes: string; isPrepared: boolean; isGrouped: boolean }[];
  workspaceBytes(
    device: string,
    op: string,
    inputs: readonly (NativeOperand | undefined)[],
    outputs: readonly NativeOperand[],
    attributes: Readonly<Record<string, unknown>>,
    threads: number,
  ): number;
  cpuFeatures(): { features: string[]; instructionSets: string[]; best: string };
  projectionTable(instructionSet: string): Uint16Array;
  /** Operations per second of the instruction that products are made of; undefined where there is no such loop. */
  peakRate(instructionSet: string, dtype: 'f32' | 'bf16', threads: number): number | undefined;
}

let loaded: { readonly addon: NativeAddon; readonly folder: string } | undefined;

/**
 * The addon, loaded at the first call.
 * @throws ERR_COMPACT_ADDON_LOAD with what was looked for and what to do
 */
export function addon(): NativeAddon {
  loaded ??= load();
  return loaded.addon;
}

/** The folder of a checkout that the addon was built into, and modules beside it; undefined where it was prebuilt. */
export function buildFolder(): string | undefined {
  loaded ??= load();
  const { folder } = loaded;
  return builtFolders.find((built) => built === folder);
}

function load(): { readonly addon: NativeAddon; readonly folder: string } {
  const [file] = addonFiles();
  if (file === undefined) throw loadError('none', undefined);
  try {
    return { addon: require(file) as NativeAddon, folder: dirname(file) };
  } catch (cause) {
    throw loadError(`${file}, which failed: ${(cause as Error).message}`, cause);
  }
}

function loadError(received: string, cause: unknown): Error {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  const platform = `${process.platform}-${process.arch}`;
  const isDisabled = code === 'ERR_DLOPEN_DISABLED';
  const remedies = isDisabled
    ? [
        'Start Node without --no-addons (see also the variable NODE_OPTIONS)',
        'With --permission or --experimental-permission, add --allow-addons where your Node has it',
      ]
    : [
        'In a checkout of the package: npm run build:native (needs CMake 3.21 and a C++20 compiler)',
        `In a project: remove node_modules/compact-train and install again on this machine, for ${platform}; ` +
          'prebuilt files are there for linux-x64 with glibc 2.34 or newer',
        'With a bundler: mark compact-train as external, so that its files stay where they are',
      ];
  return compactError('ERR_COMPACT_ADDON_LOAD', 'the native addon cannot be loaded', {
    expected: `a .node file for ${platform} in one of ${[...builtFolders, prebuiltFolder].join(', ')}`,
    received,
    remedy: `Remedies:\n${remedies.map((remedy, i) => `  ${i + 1}. ${remedy}`).join('\n')}`,
    cause,
  });
}
