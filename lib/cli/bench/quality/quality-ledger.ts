import type { BenchDevice } from '../device.js';
import { RunLedger, type LedgerRun } from '../run-ledger.js';
import type { QualityCell } from './quality-sweep.js';

const rowCase = 'quality';

type Recipe = LedgerRun['recipe'];

interface QualityLedgerRun extends LedgerRun, Omit<QualityCell, 'variant'> {
  /** Null of a run that diverged. */
  readonly loss: number | null;
}

/** Finished runs of `bench quality`. */
export class QualityLedger {
  readonly #runs: RunLedger<QualityLedgerRun>;

  /** @throws ERR_COMPACT_ARGUMENT for a file with a line that is not JSON */
  constructor(file: string | undefined) {
    this.#runs = new RunLedger(file, rowCase);
  }

  /** The loss of a recipe that was trained before; infinite where it diverged. */
  find(recipe: Recipe): number | undefined {
    const run = this.#runs.find(recipe);
    return run && (run.loss ?? Infinity);
  }

  append({ variant, ...cell }: QualityCell, recipe: Recipe, loss: number, device: BenchDevice): void {
    const { model, batchSize, sequenceLength, maxSteps, dtype } = recipe;
    const row = {
      case: rowCase,
      provider: variant,
      metric: 'held-out loss',
      unit: 'nats',
      shape: `${nameOf(model)} ${batchSize as number}x${sequenceLength as number}, ${maxSteps as number} steps`,
      dtype: dtype as string,
      ...cell,
      loss: Number.isFinite(loss) ? loss : null,
      recipe,
    };
    this.#runs.append(row, device);
  }
}

/** A preset, or what tells other models apart at a glance; the recipe says all of it. */
function nameOf(model: unknown): string {
  if (typeof model === 'string') return model;
  const { hiddenSize, numHiddenLayers } = model as Record<string, number>;
  return `llama of ${numHiddenLayers} layers, ${hiddenSize} wide,`;
}
