import {
  compactMethod,
  demoRecipe,
  demoSize,
  denseMethod,
  tunedRecipe,
  type DemoMethod,
  type DemoRates,
} from '../training/demo-recipe.js';
import type { DemoReport, DemoRun, NamedTimeline } from './report.js';
import { runTraining, type TrainingOutcome, type TrainingStep } from '../training/training-run.js';

/**
 * Each method at its best cell of bench/results/quality.jsonl: `bench quality` tuned both over the same grid, three seeds
 * for the best cells.
 */
export const demoMethods: readonly (DemoMethod & Required<DemoRates>)[] = [
  { ...denseMethod, matrixRate: 0.001, otherRate: 0.02 },
  { ...compactMethod(0.25), matrixRate: 0.002, otherRate: 0.02 },
];

const prompt = 'Fellow citizens of the Senate and ';

/** Trains the demo model once per method, one process after the other. */
export async function runDemo(
  maxSteps: number,
  device: string,
  onStep: (variant: string, progress: TrainingStep) => void,
): Promise<{ readonly demo: DemoReport; readonly timelines: readonly NamedTimeline[] }> {
  const common = demoRecipe(maxSteps, demoSize);
  const outcomes: TrainingOutcome[] = [];
  for (const method of demoMethods) {
    const recipe = { ...tunedRecipe(method, method, common.seed, maxSteps), device };
    const job = { recipe, sample: { prompt, maxNewTokens: 160 } };
    outcomes.push(await runTraining(job, (progress) => onStep(method.variant, progress)));
  }
  const denseLoss = finalLoss(outcomes[0]!);
  const runs = outcomes.map((outcome, index): DemoRun => {
    const { model: _, numParameters: __, timeline: ___, ...measured } = outcome;
    const { variant, matrixRate, otherRate } = demoMethods[index]!;
    const loss = finalLoss(outcome);
    return {
      ...measured,
      variant,
      learningRate: matrixRate,
      otherLearningRate: otherRate,
      finalLoss: loss,
      perplexity: Math.exp(loss),
      lossGap: loss / denseLoss - 1,
    };
  });
  const demo: DemoReport = {
    model: outcomes[0]!.model,
    numParameters: outcomes[0]!.numParameters,
    corpus: common.data.train,
    tokenizer: common.data.tokenizer,
    batchSize: common.batchSize,
    sequenceLength: common.sequenceLength,
    maxSteps,
    dtype: common.dtype,
    seed: common.seed,
    runs,
  };
  const title = `The demo model, ${common.batchSize} × ${common.sequenceLength} tokens, ${common.dtype}`;
  const timelines = outcomes.map(({ timeline }, index) => ({
    ...timeline,
    title,
    variant: demoMethods[index]!.variant,
  }));
  return { demo, timelines };
}

const finalLoss = ({ evaluations }: TrainingOutcome): number => evaluations.at(-1)!.loss;
