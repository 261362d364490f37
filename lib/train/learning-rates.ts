import type { Plan } from '../compile/index.js';
import { compactError } from '../errors.js';
import { roleRates, type RoleRate } from '../graph/index.js';
import { learningRateSchedule } from '../optim/index.js';
import type { TrainerOptions } from './types.js';

/** Rates of one step, by the runtime scalar that carries each. */
export type LearningRates = Readonly<Record<'learningRate' | RoleRate, number>>;

/**
 * The rates after a number of completed steps. All peaks follow one schedule.
 * @throws ERR_COMPACT_CONFIG_VALUE
 */
export function learningRates(
  options: TrainerOptions & Required<Pick<TrainerOptions, 'lrSchedulerType'>>,
): (completedSteps: number) => LearningRates {
  for (const name of roleRates) checkRate(name, options[name]);
  const { lrSchedulerType: type } = options;
  const scheduleOf = (learningRate = options.learningRate) =>
    learningRateSchedule({ ...options, type, learningRate });
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

/**
 * A rate that no parameter learns at was meant for something else: the head of tied embeddings, or a method of one's
 * own that knows one rate.
 * @throws ERR_COMPACT_CONFIG_VALUE
 */
export function checkRatesAreUsed(options: TrainerOptions, { entries }: Plan): void {
  const attributes = Object.values(entries).flatMap(({ instructions }) =>
    instructions.flatMap((instruction) => Object.values(instruction.attributes)),
  );
  const used = new Set(attributes.map((attribute) => typeof attribute === 'object' && attribute.scalar));
  for (const name of roleRates) {
    if (options[name] === undefined || used.has(name)) continue;
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

function checkRate(name: string, rate: number | undefined): void {
  if (rate === undefined || (typeof rate === 'number' && rate >= 0 && rate < Infinity)) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is out of range`, {
    op: name,
    expected: 'a number that is not negative',
    received: typeof rate === 'number' ? String(rate) : JSON.stringify(rate),
  });
}
