import type { Plan } from '../../compile/index.js';
import { compactError } from '../../errors.js';
import { rateAndPart, ratedPart, roleRates, type RoleRate } from '../../graph/index.js';
import { learningRateSchedule } from './learning-rate-schedule.js';
import type { TrainerOptions } from '../options/types.js';

/** Rates of one step, by the runtime scalar that carries each. */
export type LearningRates = Readonly<Record<'learningRate' | RoleRate, number>>;

type RateOption = 'learningRate' | RoleRate | 'warmupSteps' | 'warmupRatio' | 'minLrRate';

/**
 * The rates after a number of completed steps. All peaks follow one schedule.
 * @throws ERR_COMPACT_CONFIG_VALUE
 */
export function learningRates(
  options: Pick<TrainerOptions, RateOption> & Required<Pick<TrainerOptions, 'lrSchedulerType' | 'maxSteps'>>,
): (completedSteps: number) => LearningRates {
  const { maxSteps, lrSchedulerType: type, warmupSteps, warmupRatio, minLrRate } = options;
  const scheduleOf = (learningRate = options.learningRate) =>
    learningRateSchedule({ type, learningRate, maxSteps, warmupSteps, warmupRatio, minLrRate });
  const learningRate = scheduleOf();
  const [embedding, head, norm] = [
    scheduleOf(options.embeddingLearningRate),
    scheduleOf(options.headLearningRate),
    scheduleOf(options.normLearningRate),
  ];
  return (completedSteps) => ({
    learningRate: learningRate(completedSteps),
    embeddingLearningRate: embedding(completedSteps),
    headLearningRate: head(completedSteps),
    normLearningRate: norm(completedSteps),
  });
}

/** All rates by the factor that a method asks for. */
export const scaledRates = (rates: LearningRates, factor: number): LearningRates =>
  Object.fromEntries(Object.entries(rates).map(([name, rate]) => [name, factor * rate])) as LearningRates;

/**
 * The rates of the layers of a plan that has them: those of all, times the decay for each layer from the last one to them. As
 * in Bao et al., BEiT: BERT Pre-Training of Image Transformers, ICLR 2022; ELECTRA's fine-tuning has one factor more below
 * the head.
 */
export function layerRates(
  { scalars, values }: Pick<Plan, 'scalars' | 'values'>,
  decay: number,
): (rates: LearningRates) => Readonly<Record<string, number>> {
  // Also layers that are not trained count.
  const heights = values.map(({ layer }) => heightOf(ratedPart(layer)));
  const top = Math.max(0, ...heights);
  const factors = scalars.flatMap((name) => {
    const { rate, part } = rateAndPart(name);
    return part === undefined ? [] : [{ name, rate, factor: decay ** (top + 1 - heightOf(part)) }];
  });
  return (rates) =>
    Object.fromEntries(
      factors.map(({ name, rate, factor }) => [name, factor * rates[rate as keyof LearningRates]]),
    );
}

/** 0 of the embeddings, 1 of the first layer. */
const heightOf = (part = 'embedding'): number =>
  part === 'embedding' ? 0 : 1 + Number(part.slice('layers.'.length));

/** Rates of roles that some parameter of the plan learns at. */
export function usedRoleRates({ entries }: Plan): readonly RoleRate[] {
  const attributes = Object.values(entries).flatMap(({ instructions }) =>
    instructions.flatMap((instruction) => Object.values(instruction.attributes)),
  );
  const used = new Set(
    attributes.flatMap((attribute) =>
      typeof attribute === 'object' ? [rateAndPart(attribute.scalar).rate] : [],
    ),
  );
  return roleRates.filter((name) => used.has(name));
}

/**
 * A rate that no parameter learns at was meant for something else: the head of tied embeddings, or a method of one's
 * own that knows one rate.
 * @throws ERR_COMPACT_CONFIG_VALUE
 */
export function checkRatesAreUsed(
  options: Pick<TrainerOptions, RoleRate | 'layerLearningRateDecay'>,
  plan: Plan,
): void {
  const { layerLearningRateDecay: decay } = options;
  if (decay !== undefined && !plan.scalars.some((name) => rateAndPart(name).part !== undefined))
    throw compactError('ERR_COMPACT_CONFIG_VALUE', 'layerLearningRateDecay has nothing to act on', {
      op: 'layerLearningRateDecay',
      expected: "a parameter that is trained in a layer of the model named 'layers.<n>' or 'embedding'",
      received: String(decay),
      remedy: 'Leave it out',
    });
  const used = usedRoleRates(plan);
  for (const name of roleRates) {
    if (options[name] === undefined || used.includes(name)) continue;
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} has nothing to act on`, {
      op: name,
      expected: 'a parameter of the model that the method updates at this rate',
      received: String(options[name]),
      remedy:
        name === 'headLearningRate'
          ? 'Leave it out: the head of tied embeddings learns at embeddingLearningRate'
          : 'Leave it out',
    });
  }
}
