import { types } from 'node:util';
import { encodeChecked } from '../compile/encode-plan.js';
import type { Plan } from '../compile/index.js';
import { checkedPlan } from '../compile/plan-schema.js';
import { compactError, isCompactError } from '../errors.js';
import { dtypeBytes } from '../graph/index.js';
import { checkOptions, shown } from '../options.js';
import { addon, type NativeEngine } from './addon.js';
import { copyOfHostArray, newHostArray } from './arguments.js';
import { memoryBytes, physicalCores } from './cpu.js';
import { type Device, findDevice, findInstructionSet, unavailable } from './device.js';
import { inputCopies, LoadedPlan, outputArrays, scalarSlots } from './loaded-plan.js';
import { awaiting, calling, callerOf } from './native-error.js';
import { engineTable, rangeTable, rowsTable, runTable } from './options.js';
import type {
  EngineMemory,
  EngineOptions,
  EntryGraphs,
  HostArray,
  RowsLayout,
  RunOptions,
  RunResult,
} from './types.js';

/**
 * Executes plans on one device, on a thread of its own: calls are queued and run in order, the event loop stays free.
 * A GPU is given the next run of the queue while it computes the one before; results come in the order of the calls.
 * Arguments are checked before anything is queued. An engine that is not closed is freed by the garbage collector
 * once it is idle, and does not keep the process alive.
 *
 * @example
 * await using engine = await Engine.open({ device: 'cpu' });
 * await engine.load(plan);
 * await engine.run('initialize');
 * const { outputs } = await engine.run('step', { inputs: { tokens, targets }, scalars });
 */
export class Engine implements AsyncDisposable {
  readonly device: Device;
  readonly threads: number;
  /** Name of the CPU instruction set in use. */
  readonly instructionSet: string;
  readonly #native: NativeEngine;
  readonly #memoryLimitBytes: number;
  #plan: LoadedPlan | undefined;
  #closed: Promise<void> | undefined;

  private constructor(given: EngineOptions) {
    const context = { what: 'Engine.open', code: 'ERR_COMPACT_ARGUMENT' } as const;
    const options = checkOptions(given, engineTable, context);
    this.device = findDevice(options.device);
    this.threads = options.threads ?? physicalCores();
    this.instructionSet = findInstructionSet(options.instructionSet);
    // What a GPU has is known once it is open.
    this.#memoryLimitBytes =
      options.memoryLimitBytes ?? (this.device.kind === 'cpu' ? memoryBytes() : Number.MAX_SAFE_INTEGER);
    const { device, threads, instructionSet } = this;
    const { blas, graphs } = options;
    this.#native = calling(
      () =>
        new (addon().NativeEngine)({
          device: device.kind,
          deviceIndex: device.index,
          threads,
          instructionSet,
          blas,
          graphs,
          memoryLimitBytes: this.#memoryLimitBytes,
        }),
    );
  }

  /**
   * Opens a device. A GPU has to compute something small first.
   * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT, ERR_COMPACT_ADDON_LOAD,
   *   ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_OUT_OF_MEMORY (a GPU that is full)
   */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    const caller = callerOf(Engine.open);
    const engine = new Engine(options);
    try {
      await awaiting(engine.#native.open(), caller);
      return engine;
    } catch (error) {
      await engine.close();
      throw engine.device.kind === 'cpu' ? error : openError(engine.device.name, error);
    }
  }

  /**
   * Checks a plan whole, allocates its two regions and sets the persistent one to zero. The plan of before is dropped,
   * but stays when the new one is refused.
   * @throws ERR_COMPACT_PLAN_DEVICE, ERR_COMPACT_PLAN_INVALID, ERR_COMPACT_OP_UNSUPPORTED,
   *   ERR_COMPACT_DOES_NOT_FIT, ERR_COMPACT_OUT_OF_MEMORY, ERR_COMPACT_DISPOSED
   */
  async load(given: Plan): Promise<void> {
    this.#checkOpen();
    const plan = checkedPlan(given);
    if (plan.device !== this.device.kind)
      throw compactError('ERR_COMPACT_PLAN_DEVICE', 'the plan is for another device', {
        expected: `a plan for ${this.device.kind}`,
        received: plan.device,
        remedy: 'Compile it with the target of this device',
      });
    if (plan.peakBytes > this.memoryLimitBytes)
      throw compactError('ERR_COMPACT_DOES_NOT_FIT', 'the plan does not fit the memory limit', {
        op: 'load',
        expected: `at most ${this.memoryLimitBytes} bytes`,
        received: `${plan.peakBytes} bytes`,
        remedy: 'Lower the batch size or the sequence length, or choose a recompute policy that keeps less',
      });
    await awaiting(this.#native.load(encodeChecked(plan)), callerOf(this.load));
    this.#plan = new LoadedPlan(plan);
  }

  /**
   * Writes a persistent value, or a part of it from `byteOffset` on. `data` is copied before the call returns.
   * @throws ERR_COMPACT_VALUE_UNKNOWN, ERR_COMPACT_TYPE, ERR_COMPACT_SHAPE, ERR_COMPACT_DISPOSED
   */
  async write(name: string, data: HostArray, byteOffset = 0): Promise<void> {
    const { dtype, bytes } = this.#loaded().persistent(name);
    const copy = copyOfHostArray(name, data, dtype);
    checkRange(name, { byteOffset, byteLength: copy.byteLength }, bytes, dtypeBytes[dtype]);
    await awaiting(this.#native.write(name, byteOffset, copy), callerOf(this.write));
  }

  /**
   * Writes rows of a matrix into the persistent value that holds the matrix or its transpose, in the numbers of the value:
   * f32 and bf16 of any floating point, rounded to nearest with ties to even, everything else of its own type. Rows of one
   * number are a vector.
   * @param rows whole rows in shared memory, which nobody can take away meanwhile; aligned to their numbers, and not to be
   *   changed until the promise is settled
   * @throws ERR_COMPACT_VALUE_UNKNOWN, ERR_COMPACT_TYPE, ERR_COMPACT_ARGUMENT (what is no part of the value),
   *   ERR_COMPACT_DISPOSED; ERR_COMPACT_NOT_FINITE for NaN, infinity and what becomes infinite, after some of the rows may
   *   have been written
   */
  async writeRows(name: string, rows: Uint8Array, layout: RowsLayout): Promise<void> {
    this.#loaded().persistent(name);
    const context = { what: 'Engine.writeRows', code: 'ERR_COMPACT_ARGUMENT' } as const;
    const { columns, ...checked } = checkOptions(layout, rowsTable, context);
    if (!types.isUint8Array(rows))
      throw compactError('ERR_COMPACT_TYPE', `${name}: wrong type of array`, {
        op: name,
        expected: 'a Uint8Array of a SharedArrayBuffer',
        received: shown(rows),
      });
    const all = { ...checked, columns: columns ?? checked.stride - checked.firstColumn };
    await awaiting(this.#native.writeRows(name, rows, all), callerOf(this.writeRows));
  }

  /**
   * Reads a persistent value, or a part of it.
   * @throws ERR_COMPACT_VALUE_UNKNOWN, ERR_COMPACT_TYPE, ERR_COMPACT_SHAPE, ERR_COMPACT_DISPOSED
   */
  async read(
    name: string,
    range?: { readonly byteOffset: number; readonly byteLength: number },
  ): Promise<HostArray> {
    const { dtype, bytes } = this.#loaded().persistent(name);
    const whole = { byteOffset: 0, byteLength: bytes };
    const { byteOffset, byteLength } = checkRange(
      name,
      range === undefined ? whole : range,
      bytes,
      dtypeBytes[dtype],
    );
    const target = newHostArray(dtype, byteLength / dtypeBytes[dtype]);
    await awaiting(this.#native.read(name, byteOffset, target), callerOf(this.read));
    return target;
  }

  /**
   * Runs one entry of the plan. After an error but the last named the engine can go on; what the entry had written by then stays.
   * @throws ERR_COMPACT_ENTRY_UNKNOWN, ERR_COMPACT_VALUE_UNKNOWN, ERR_COMPACT_ARGUMENT, ERR_COMPACT_TYPE,
   *   ERR_COMPACT_SHAPE, ERR_COMPACT_INDEX, ERR_COMPACT_NOT_FINITE, ERR_COMPACT_ABORTED, ERR_COMPACT_DISPOSED;
   *   ERR_COMPACT_DEVICE_LOST, after which every call but close() fails
   */
  async run(entryName: string, options: RunOptions = {}): Promise<RunResult> {
    const program = this.#loaded().entry(entryName);
    const context = { what: 'Engine.run', code: 'ERR_COMPACT_ARGUMENT' } as const;
    const { signal, checkFinite, profile, ...given } = checkOptions(options, runTable, context);
    const scalars = scalarSlots(program, given.scalars as RunOptions['scalars']);
    const inputs = inputCopies(program, given.inputs as RunOptions['inputs']);
    const outputs = outputArrays(program);
    const profileUs = profile ? new Float64Array(program.entry.instructions.length) : undefined;
    const cancelled = new Uint8Array(1);
    const onAbort = (): void => void (cancelled[0] = 1);
    if (signal?.aborted === true) throw aborted(entryName, signal);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const durationMs = await awaiting(
        this.#native.run(entryName, scalars, inputs, outputs, checkFinite, cancelled, profileUs),
        callerOf(this.run),
      );
      return {
        outputs: Object.fromEntries(program.outputs.map(({ name }, i) => [name, outputs[i]!])),
        durationMs,
        ...(profileUs !== undefined && { profileUs }),
      };
    } catch (error) {
      throw signal !== undefined && cancelled[0] === 1 && isAborted(error)
        ? aborted(entryName, signal)
        : error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Bytes that the engine holds; equal to the plan's. */
  memory(): EngineMemory {
    this.#checkOpen();
    const { freeBytes: _, ...held } = this.#native.memory();
    return held;
  }

  /** How the entries of the plan run on a GPU; empty for the CPU. */
  graphs(): EntryGraphs[] {
    this.#checkOpen();
    return this.#native.graphs().map(({ entry, state, plainMs, recordedMs, problem }) => ({
      entry,
      state,
      ...(plainMs > 0 && { plainMs }),
      ...(recordedMs > 0 && { recordedMs }),
      ...(problem !== '' && { problem }),
    }));
  }

  /**
   * Bytes that a plan may need: the option, else what the machine has; of a GPU no more than was free when the engine
   * was opened, or when the device last refused the memory of a plan.
   */
  get memoryLimitBytes(): number {
    return Math.min(this.#memoryLimitBytes, this.#native.memory().freeBytes || Infinity);
  }

  /** Waits for the calls that were made before, then gives back memory, threads and device. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= awaiting(this.#native.close(), callerOf(this.close)).then(() => undefined);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (this.#closed !== undefined)
      throw compactError('ERR_COMPACT_DISPOSED', 'the engine is closed', {
        remedy: 'Open another with Engine.open()',
      });
  }

  #loaded(): LoadedPlan {
    this.#checkOpen();
    if (this.#plan !== undefined) return this.#plan;
    throw compactError('ERR_COMPACT_ARGUMENT', 'the engine has no plan', {
      expected: 'load() to have finished',
      received: 'no plan',
    });
  }
}

/** A GPU that is there and yet cannot be opened: it is full, or does not compute. */
function openError(device: string, error: unknown): unknown {
  if (isCompactError(error, 'ERR_COMPACT_DEVICE_UNAVAILABLE'))
    return unavailable(device, 'device-fault', error.received ?? error.what);
  if (!isCompactError(error, 'ERR_COMPACT_OUT_OF_MEMORY')) return error;
  const { code, expected, received } = error;
  return compactError(code, `the device ${device} has no memory left to be opened`, {
    device,
    expected,
    received,
    remedy: 'nvidia-smi shows which processes hold it; end them, or choose another device',
    cause: error,
  });
}

const isAborted = (error: unknown): boolean => (error as { code?: unknown }).code === 'ERR_COMPACT_ABORTED';

const aborted = (entry: string, signal: AbortSignal): Error =>
  compactError('ERR_COMPACT_ABORTED', `the run of ${entry} was aborted`, { cause: signal.reason });

function checkRange(
  name: string,
  range: { readonly byteOffset: number; readonly byteLength: number },
  bytes: number,
  elementBytes: number,
): { readonly byteOffset: number; readonly byteLength: number } {
  const context = { what: `the range of ${name}`, prefix: 'range.', code: 'ERR_COMPACT_SHAPE' } as const;
  const { byteOffset, byteLength } = checkOptions(range, rangeTable, context);
  const isWhole = [byteOffset, byteLength].every((count) => count % elementBytes === 0);
  if (isWhole && byteOffset + byteLength <= bytes) return { byteOffset, byteLength };
  throw compactError('ERR_COMPACT_SHAPE', `the range of ${name} is not within it`, {
    op: name,
    expected: `whole elements of ${elementBytes} bytes within ${bytes} bytes`,
    received: `${byteLength} bytes from ${byteOffset}`,
  });
}
