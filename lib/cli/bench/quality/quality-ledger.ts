import { existsSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { compactError } from '../../../errors.js';
import type { BenchDevice } from '../device.js';
import { appendToLedger } from '../ledger.js';
import type { QualityCell } from './quality-sweep.js';

const rowCase = 'quality';

type Recipe = Readonly<Record<string, unknown>>;

/**
 * Finished runs of `bench quality`, one line of JSON each. A run is known again by its recipe, so a sweep that was
 * stopped goes on where it stopped, and a wider one trains only what is new.
 */
export class QualityLedger {
  readonly #file: string | undefined;
  readonly #losses: { readonly recipe: Recipe; readonly loss: number }[];

  /** @throws ERR_COMPACT_ARGUMENT for a file with a line that is not JSON */
  constructor(file: string | undefined) {
    this.#file = file;
    this.#losses = file !== undefined && existsSync(file) ? readRows(file) : [];
  }

  /** The loss of a recipe that was trained before. */
  find(recipe: Recipe): number | undefined {
    return this.#losses.find((row) => isDeepStrictEqual(row.recipe, recipe))?.loss;
  }

  append({ variant, ...cell }: QualityCell, recipe: Recipe, loss: number, device: BenchDevice): void {
    this.#losses.push({ recipe, loss });
    if (this.#file === undefined) return;
    const { model, batchSize, sequenceLength, maxSteps, dtype } = recipe;
    const row = {
      case: rowCase,
      provider: variant,
      metric: 'held-out loss',
      unit: 'nats',
      shape: `${nameOf(model)} ${batchSize as number}x${sequenceLength as number}, ${maxSteps as number} steps`,
      dtype: dtype as string,
      ...cell,
      loss: Number.isFinite(loss) ? loss : null, // of a run that diverged
      recipe,
    };
    appendToLedger(this.#file, [row], device);
  }
}

/** A preset, or what tells other models apart at a glance; the recipe says all of it. */
function nameOf(model: unknown): string {
  if (typeof model === 'string') return model;
  const { hiddenSize, numHiddenLayers } = model as Record<string, number>;
  return `llama of ${numHiddenLayers} layers, ${hiddenSize} wide,`;
}

function readRows(file: string): { recipe: Recipe; loss: number }[] {
  const rows: { recipe: Recipe; loss: number }[] = [];
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line === '') continue;
    const row = parse(line, `${file}:${index + 1}`);
    if (row.case === rowCase) rows.push({ recipe: row.recipe ?? {}, loss: row.loss ?? Infinity });
  }
  return rows;
}

function parse(line: string, place: string): { case?: string; recipe?: Recipe; loss?: number | null } {
  try {
    return JSON.parse(line) as ReturnType<typeof parse>;
  } catch (cause) {
    throw compactError('ERR_COMPACT_ARGUMENT', `${place} is not a row of a ledger`, {
      op: '--ledger',
      expected: 'one JSON object a line',
      received: line.slice(0, 60),
      remedy: 'Remove the line, or name another file',
      cause,
    });
  }
}
