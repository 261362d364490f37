import type { Plan } from '../compile/index.js';
import { compactError, isCompactError } from '../errors.js';
import type { Engine } from '../runtime/index.js';
import { openCheckpoint } from './checkpoints/checkpoint.js';
import type { TrainerSettings } from './options/options.js';
import { openStartingWeights } from './weights/starting-weights.js';
import { zeroTensors } from './weights/tensor-files.js';
import type { AdvanceResult, TrainingState } from './checkpoints/training-state.js';

/** Steps that are repeated at most to find where a number became NaN or infinite. */
const maxRepeatedSteps = 1000;

export interface NotFiniteContext {
  readonly engine: Engine;
  readonly plan: Plan;
  readonly settings: TrainerSettings;
  readonly state: TrainingState;
  /** The newest checkpoint on disk, made before the step that failed. */
  readonly lastCheckpoint: string | undefined;
}

/** What was found to be NaN or infinite, and after which step. */
export interface NotFinite {
  readonly what: string;
  readonly step: number;
  /** 'loss', 'gradient norm', or the name of a tensor. */
  readonly quantity: string;
  readonly value: number;
  /** Whether the weights had been updated by then. */
  readonly isUpdated: boolean;
}

/** What a step told that is NaN or infinite, if anything; `completedSteps` as they are after it. */
export function findNotFinite(
  { loss, gradNorm = 0, isUpdated }: AdvanceResult,
  completedSteps: number,
): NotFinite | undefined {
  const [quantity, value] = Number.isFinite(loss) ? ['gradient norm', gradNorm] : ['loss', loss];
  if (Number.isFinite(value)) return undefined;
  const step = isUpdated ? completedSteps : completedSteps + 1;
  return { what: `the ${quantity} of step ${step} is ${value}`, step, quantity, value, isUpdated };
}

/** The tensor for which a checkpoint of a step was refused; undefined for other errors. */
export function refusedTensor(error: unknown, step: number): NotFinite | undefined {
  if (!isCompactError(error, 'ERR_COMPACT_NOT_FINITE')) return undefined;
  const { tensor, value } = error.details as { tensor: string; value: number };
  return { what: `${error.what} after step ${step}`, step, quantity: tensor, value, isUpdated: true };
}

/**
 * Repeats a step after which something was NaN or infinite with every operand checked, and makes the error that names
 * the layer where the first such number came up, the step, and the checkpoint to go back to. The run cannot go on.
 */
export async function explainNotFinite(
  { what, step, quantity, value, isUpdated }: NotFinite,
  context: NotFiniteContext,
): Promise<Error> {
  const { lastCheckpoint } = context;
  const cause = await repeatChecked(step, isUpdated, context);
  const first = isCompactError(cause, 'ERR_COMPACT_NOT_FINITE') ? cause : undefined;
  const { layer, value: tensor } = (first?.details ?? {}) as { layer?: string; value?: string };
  const place = first === undefined ? '' : `, first in layer ${layer} (${first.op})`;
  return compactError('ERR_COMPACT_NOT_FINITE', `${what}${place}`, {
    op: first?.op,
    remedy:
      (lastCheckpoint === undefined ? '' : `The last good checkpoint is ${lastCheckpoint}; `) +
      'A lower learningRate, more warmupSteps or maxGradNorm usually help',
    details: { step, quantity, value: String(value), layer, tensor, lastCheckpoint },
    cause,
  });
}

/** The engine's error at the first such number, or whatever else ended the search: that must not hide why there was one. */
async function repeatChecked(step: number, isUpdated: boolean, context: NotFiniteContext): Promise<unknown> {
  const { engine, plan, state } = context;
  try {
    // What the failed window has left there is overwritten, but it would be found first.
    await zeroTensors(engine, plan, 'gradient');
    if (isUpdated) await goBack(context);
    if (step - state.step > maxRepeatedSteps) return undefined;
    while (state.step < step) await state.advance({ checkFinite: true });
  } catch (error) {
    return error;
  }
  return undefined;
}

/**
 * Where the update came before the loss was known, the weights that led to it are gone: back to the last checkpoint, or
 * to the start, from where the steps come out the same to the bit.
 */
async function goBack({ engine, plan, settings, state, lastCheckpoint }: NotFiniteContext): Promise<void> {
  if (lastCheckpoint === undefined) {
    await using starting = await openStartingWeights(settings);
    await zeroTensors(engine, plan, 'optimizerState');
    await starting.writeInto(engine, plan);
    state.reset();
    return;
  }
  await using checkpoint = await openCheckpoint(lastCheckpoint, { plan, model: settings.model });
  await checkpoint.loadInto(engine);
  state.restore(checkpoint.state);
}
