import type { RuntimeScalar } from '../graph/index.js';

/** A device by name; editors complete it, and other text is refused when it is used. */
export type DeviceName = 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | (string & {});

/** Kinds of devices. */
export type DeviceKind = 'cpu' | CudaKind;
/** `cuda-emulated` runs the same kernels on the CPU, for the tests of this repository. */
export type CudaKind = 'cuda' | 'cuda-emulated';

/** Why a device cannot be used: `details.reason` of ERR_COMPACT_DEVICE_UNAVAILABLE. */
export type DeviceProblem =
  /** No module for this kind of device is installed. */
  | 'module-absent'
  /** The module's file cannot be loaded. */
  | 'module-broken'
  /** The module's package, or its interface, is of another version than this package. */
  | 'module-version'
  /** The file of the module's package is not the one that was published with this package. */
  | 'module-untrusted'
  | 'driver-absent'
  | 'driver-too-old'
  /** The driver shows no device. */
  | 'no-device'
  /** The number is not below the number of devices. */
  | 'no-such-device'
  /** Older than compute capability 8.0. */
  | 'architecture-unsupported'
  /** It is there, but does not compute. */
  | 'device-fault';

/** Who multiplies matrices on a GPU: this package's kernels, NVIDIA's cuBLASLt, or cuBLASLt where it is there. */
export const blasChoices = ['own', 'vendor', 'auto'] as const;
/** One of `blasChoices`. */
export type BlasChoice = (typeof blasChoices)[number];

/**
 * Whether the kernels of a run are handed to a GPU as one graph: always but for the first run of an entry, never, or
 * where a few runs of the entry each way show that it is not slower. Results are the same bits.
 */
export const graphChoices = ['auto', 'on', 'off'] as const;
/** One of `graphChoices`. */
export type GraphChoice = (typeof graphChoices)[number];
/** Whether the runs of an entry are graphs; 'measuring': the few runs of 'auto' are not over. */
export type GraphState = 'measuring' | 'on' | 'off';

/** Types of numbers on the host: those of a plan, and other floating point. */
export const hostDTypes = ['f64', 'f32', 'bf16', 'f16', 'i32', 'u8', 'i8'] as const;
/** One of `hostDTypes`. */
export type HostDType = (typeof hostDTypes)[number];

/** Rows of a matrix as they lie on the host, and which of the matrix they are. */
export interface RowsLayout {
  /** Of the numbers as they lie there. */
  readonly dtype: HostDType;
  /** Numbers from the start of a row to the start of the next. */
  readonly stride: number;
  /** The first column that is the matrix's. Default 0. */
  readonly firstColumn?: number;
  /** Columns of the matrix. Default: all that are behind `firstColumn`. */
  readonly columns?: number;
  /** Rows of the matrix that come before. Default 0. */
  readonly firstRow?: number;
  /** Whether the value holds the transpose of the matrix. Default false. */
  readonly isTransposed?: boolean;
}

/** Which device an engine runs on, and how. */
export interface EngineOptions {
  /** 'cpu' | 'cuda' | 'cuda:N' | 'auto'. Default 'auto'. Only 'auto' may choose; the choice is reported. */
  readonly device?: DeviceName;
  /** CPU worker threads. Default: physical cores. */
  readonly threads?: number;
  /** CPU instruction set; default the best this machine has. Lower ones exist for tests. */
  readonly instructionSet?: string;
  /**
   * Default 'own'. With 'vendor' and no cuBLASLt: ERR_COMPACT_DEVICE_UNAVAILABLE. Products of P made on the way and
   * fused updates are always our own. The CPU has no choice.
   */
  readonly blas?: BlasChoice;
  /** Default 'auto'. The CPU has no graphs. */
  readonly graphs?: GraphChoice;
  /**
   * Refuse plans above this many bytes with ERR_COMPACT_DOES_NOT_FIT; a number, or text with a unit: '24GiB'. Default:
   * what there is.
   */
  readonly memoryLimitBytes?: number | string;
}

/** Elements as JavaScript holds them: bf16 travels as its 16 bits in a Uint16Array. */
export type HostArray = Float32Array | Uint16Array | Int32Array | Uint8Array | Int8Array;

/** What a run of an entry reads, and how it is watched. */
export interface RunOptions {
  /** All that the entry reads; the rates of roles (`roleRates`) are `learningRate` where they are not given. */
  readonly scalars?: Readonly<Partial<Record<RuntimeScalar, number>>>;
  /** By value name; every input of the entry must be given (bytes are copied before `run` returns). */
  readonly inputs?: Readonly<Record<string, HostArray>>;
  /** Honoured until the device starts with the run, which may be behind one that is still computing. */
  readonly signal?: AbortSignal;
  /** Stop at the first instruction whose output holds NaN or infinity (slow; for diagnosis): ERR_COMPACT_NOT_FINITE. */
  readonly checkFinite?: boolean;
  /** Time every instruction. */
  readonly profile?: boolean;
}

/** What a run of an entry gives back. */
export interface RunResult {
  /** Every output of the entry, by value name. */
  readonly outputs: Readonly<Record<string, HostArray>>;
  /** From the start of the run, or the end of the one before where that is later, to its end. */
  readonly durationMs: number;
  /** Microseconds of each instruction, when asked for. */
  readonly profileUs?: Float64Array;
}

/** Bytes that an engine holds for its plan. */
export interface EngineMemory {
  readonly persistentBytes: number;
  readonly arenaBytes: number;
  /** What the allocator holds for this engine; equals the plan. */
  readonly allocatedBytes: number;
  /**
   * What a GPU lost beside, by being opened: context, code and queues. The first engine of a process on a device pays
   * for the context. What other processes took meanwhile is in it. 0 for the CPU, and where it cannot be told.
   */
  readonly overheadBytes: number;
}

/** How one entry of the plan runs. */
export interface EntryGraphs {
  readonly entry: string;
  /** Whether its runs are graphs. */
  readonly state: GraphState;
  /** Medians of the runs that 'auto' timed. */
  readonly plainMs?: number;
  readonly recordedMs?: number;
  /** Why it cannot be a graph: its runs are plain ones. */
  readonly problem?: string;
}
