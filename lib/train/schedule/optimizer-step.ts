import type { Plan } from '../../compile/index.js';
import type { Batch } from '../../data/index.js';
import type { RuntimeScalar } from '../../graph/index.js';
import type { Engine, RunResult } from '../../runtime/index.js';

export interface OptimizerStepResult {
  /** Mean over the counted tokens of the whole window. */
  readonly loss: number;
  /** Global norm before clipping; only when clipping is on. */
  readonly gradNorm: number | undefined;
  /** False when the loss was not finite in time to leave the weights alone. */
  readonly isUpdated: boolean;
  readonly computeMs: number;
  readonly updateMs: number;
}

/** The micro-batches of an optimizer step, read one by one: a window may be larger than memory. */
export interface Window {
  readonly numMicroBatches: number;
  /** Of all micro-batches together. */
  readonly numCountedTokens: number;
  readonly microBatch: (index: number) => Promise<Batch>;
  /** Told each micro-batch with what its run gave. */
  readonly onOutputs?: (batch: Batch, outputs: RunResult['outputs']) => void;
}

/** The entry of a plan that is the step, or a half of it, in one of its forms. */
export function stepEntry({ entries }: Pick<Plan, 'entries'>, name: string, variant?: string): string {
  const ofVariant = `${name}:${variant}`;
  return entries[ofVariant] === undefined ? name : ofVariant;
}

/**
 * One optimizer step over a window of micro-batches. Loss and gradients are divided by the number of counted tokens of
 * the whole window, so that a window cut into micro-batches, however unequal, gives what one large batch would.
 * @param options `variant`: which form of the step it is; halves that do not differ there are those of the plain step
 */
export async function runOptimizerStep(
  engine: Pick<Engine, 'run'>,
  plan: Plan,
  { numMicroBatches, numCountedTokens, microBatch, onOutputs }: Window,
  scalars: Readonly<Partial<Record<RuntimeScalar, number>>>,
  {
    variant,
    ...options
  }: { readonly signal?: AbortSignal; readonly checkFinite?: boolean; readonly variant?: string } = {},
): Promise<OptimizerStepResult> {
  const lossScale = 1 / Math.max(1, numCountedTokens);
  const isOneRun = plan.entries['step'] !== undefined;
  const entryOf = (name: string): string => stepEntry(plan, name, variant);
  const start = performance.now();
  const begin = async (
    index: number,
  ): Promise<{ readonly batch: Batch; readonly running: Promise<RunResult> }> => {
    const batch = await microBatch(index);
    const running = engine.run(entryOf(isOneRun ? 'step' : 'accumulate'), {
      ...options,
      inputs: batch.inputs,
      scalars: { ...scalars, lossScale, accumulate: index === 0 ? 0 : 1 },
    });
    running.catch(() => undefined); // told when its turn comes
    return { batch, running };
  };
  let loss = 0;
  let begun = await begin(0);
  for (let index = 0; index < numMicroBatches; index++) {
    const current = begun;
    try {
      // Queued behind it, so that a GPU has the next micro-batch before it is done with this one.
      if (index + 1 < numMicroBatches) begun = await begin(index + 1);
      const { outputs } = await current.running;
      loss += outputs['loss']![0]!;
      onOutputs?.(current.batch, outputs);
    } catch (error) {
      await Promise.allSettled([current.running, begun.running]);
      throw error;
    }
  }
  const computeMs = performance.now() - start;
  if (isOneRun) return { loss, gradNorm: undefined, isUpdated: true, computeMs, updateMs: 0 };
  if (!Number.isFinite(loss)) return { loss, gradNorm: undefined, isUpdated: false, computeMs, updateMs: 0 };
  const { outputs } = await engine.run(entryOf('update'), { scalars, checkFinite: options.checkFinite });
  const updateMs = performance.now() - start - computeMs;
  return { loss, gradNorm: outputs['gradNorm']?.[0], isUpdated: true, computeMs, updateMs };
}
