import type { Plan } from '../../compile/index.js';
import { compactError } from '../../errors.js';
import { convertNumbers } from '../../formats/index.js';
import type { Model } from '../../graph/index.js';
import { adapterScale, factorName, isAdapted } from '../../methods/adaptation/low-rank-adapter.js';
import type { AdapterOptions, Method } from '../../methods/index.js';
import type { Engine } from '../../runtime/index.js';
import { checkAborted } from '../abort.js';
import { indexOfNotFinite } from '../weights/finite.js';
import { parametersOf } from '../weights/model-weights.js';
import { notFinite } from '../weights/tensor-elements.js';
import { hostArray } from '../weights/tensor-files.js';
import { openAdapterFolder, type AdapterFolder } from './peft-adapters.js';

/** Adapters that a run goes on from, found to be those that its method trains; no number has been read yet. */
export interface StartingAdapters extends AsyncDisposable {
  /** @throws ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_CHECKPOINT_INVALID, ERR_COMPACT_ABORTED */
  loadInto(engine: Pick<Engine, 'write'>, plan: Plan, signal?: AbortSignal): Promise<void>;
}

/**
 * Opens adapters of Hugging Face's PEFT for a method that trains such: of the same weights, the same rank and the same scale.
 * @throws ERR_COMPACT_CHECKPOINT_*: _MISMATCH for other weights; ERR_COMPACT_CONFIG_VALUE for a method without adapters, or
 *   of another rank or scale
 */
export async function openStartingAdapters(
  path: string,
  model: Model,
  method: Method,
): Promise<StartingAdapters> {
  const options = method.describe() as unknown as Required<AdapterOptions>;
  if ((options.loraAlpha as number | undefined) === undefined)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${method.name} has no adapters to start from`, {
      op: 'adapter',
      expected: 'a method with adapters: lora, dora, qlora, lora-fa, relora',
      received: method.name,
    });
  const folder = await openAdapterFolder(path, model, 'adapter');
  try {
    checkWeights(folder, model, options);
    checkRankAndScale(folder, options);
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
  return {
    loadInto: (engine, plan, signal) => load(folder, engine, plan, signal),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function checkWeights(
  { path, adapters }: AdapterFolder,
  model: Model,
  options: Required<AdapterOptions>,
): void {
  const wanted = parametersOf(model)
    .filter((parameter) => isAdapted(parameter, options))
    .map(({ name }) => name);
  const missing = wanted.filter((name) => !adapters.has(name));
  const unexpected = [...adapters.keys()].filter((name) => !wanted.includes(name));
  if (missing.length + unexpected.length === 0) return;
  throw compactError(
    'ERR_COMPACT_CHECKPOINT_MISMATCH',
    `${path} has adapters of other weights than the method`,
    {
      op: 'adapter',
      expected: `adapters of ${String(options.targetModules)}`,
      received: [
        ...(missing.length > 0 ? [`none of ${missing[0]}`] : []),
        ...(unexpected.length > 0 ? [`one of ${unexpected[0]}`] : []),
      ].join(', '),
      remedy: 'Name the same targetModules as the adapters have',
      details: { missing, unexpected },
    },
  );
}

function checkRankAndScale({ path, adapters }: AdapterFolder, options: Required<AdapterOptions>): void {
  const { r } = options;
  const wanted = adapterScale(options);
  for (const [parameter, { rank, scale }] of adapters) {
    if (rank !== r) throw otherThan(path, parameter, 'r', r, rank);
    if (Math.abs(scale - wanted) > 1e-9 * wanted)
      throw otherThan(path, parameter, 'loraAlpha', wanted, scale);
  }
}

function otherThan(
  path: string,
  parameter: string,
  op: 'r' | 'loraAlpha',
  wanted: number,
  found: number,
): Error {
  const what = op === 'r' ? 'rank' : 'scale';
  return compactError(
    'ERR_COMPACT_CONFIG_VALUE',
    `${path}: the adapter of ${parameter} has another ${what}`,
    {
      op: `method.${op}`,
      expected: `${what} ${wanted}, as the method has it`,
      received: String(found),
      remedy: 'Give the method r, loraAlpha and useRslora of adapter_config.json',
    },
  );
}

async function load(
  { path, adapters }: AdapterFolder,
  engine: Pick<Engine, 'write'>,
  { values }: Plan,
  signal: AbortSignal | undefined,
): Promise<void> {
  const dtypes = new Map(values.map(({ name, dtype }) => [name, dtype as 'f32' | 'bf16']));
  for (const [parameter, adapter] of adapters) {
    checkAborted(signal);
    const { a, b } = await adapter.factors();
    const { rank } = adapter;
    for (const [letter, factor, rows] of [
      ['A', a, rank],
      ['B', b, b.length / rank],
    ] as const) {
      const name = factorName(parameter, letter);
      const dtype = dtypes.get(name)!;
      const numbers = transposedMatrix(factor, rows);
      const bytes = convertNumbers(new Uint8Array(numbers.buffer), 'f32', dtype);
      const index = indexOfNotFinite(bytes, dtype);
      if (index >= 0) throw notFinite(path, name, dtype)(numbers[index]!);
      await engine.write(name, hostArray(dtype, bytes));
    }
  }
}

function transposedMatrix(matrix: Float32Array, rows: number): Float32Array<ArrayBuffer> {
  const columns = matrix.length / rows;
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = matrix[row * columns + column]!;
  return result;
}
