import type { DemoReport, DemoRun, NamedTimeline } from './report.js';
import { runTraining, type TrainingMessage, type TrainingOutcome } from './training-run.js';

/** Equal for every method: the same batches in the same order. */
const common = {
  model: 'llama-demo',
  data: { train: 'sotu', tokenizer: 'bytes' },
  batchSize: 8,
  sequenceLength: 256,
  lrSchedulerType: 'cosine_with_min_lr',
  warmupRatio: 0.1,
  dtype: 'f32',
  seed: 42,
} as const;

/** Each method with the best learning rate of a sweep by `bench quality`. */
const methods = [
  { variant: 'dense', method: { name: 'dense' }, learningRate: 0.001 },
  {
    variant: 'compact n/4, lazy',
    method: { name: 'compact', rankRatio: 0.25, store: 'lazy', refreshInterval: 50, updateScale: 0.25 },
    learningRate: 0.01,
  },
] as const;

/** The demo's options but for method and learning rate. */
export const demoRecipe = (maxSteps: number): Readonly<Record<string, unknown>> => ({
  ...common,
  maxSteps,
  evalSteps: Math.ceil(maxSteps / 6),
  evalSequences: 64,
});

const prompt = 'Fellow citizens of the Senate and ';

/** Trains the demo model once per method, one process after the other. */
export async function runDemo(
  maxSteps: number,
  device: string,
  onStep: (variant: string, progress: Extract<TrainingMessage, { type: 'step' }>) => void,
): Promise<{ readonly demo: DemoReport; readonly timelines: readonly NamedTimeline[] }> {
  const outcomes: TrainingOutcome[] = [];
  for (const { variant, method, learningRate } of methods) {
    const recipe = { ...demoRecipe(maxSteps), method, learningRate, device };
    const job = { recipe, sample: { prompt, maxNewTokens: 160 } };
    outcomes.push(await runTraining(job, (progress) => onStep(variant, progress)));
  }
  const denseLoss = finalLoss(outcomes[0]!);
  const runs = outcomes.map((outcome, index): DemoRun => {
    const { model: _, numParameters: __, timeline: ___, ...measured } = outcome;
    const { variant, learningRate } = methods[index]!;
    const loss = finalLoss(outcome);
    return {
      ...measured,
      variant,
      learningRate,
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
    variant: methods[index]!.variant,
  }));
  return { demo, timelines };
}

const finalLoss = ({ evaluations }: TrainingOutcome): number => evaluations.at(-1)!.loss;
