import { monitorEventLoopDelay } from 'node:perf_hooks';
import { serveTask, type TaskContext } from '../../../jobs/process/serve-task.js';
import { memoryReport } from '../../../memory/index.js';
import { Trainer } from '../../../train/index.js';
import { trainerOptions } from '../../recipe.js';
import { quantiles } from '../quantiles.js';
import type { LossPoint } from '../memory/report.js';
import { timelineOf } from './timeline.js';
import type { TrainingJob, TrainingOutcome, TrainingStep } from './training-run.js';

/** The child process of `runTraining`: takes one job, reports steps, sends the outcome, ends. */

const delayResolutionMs = 1;

serveTask(train);

async function train(
  { recipe, sample }: TrainingJob,
  { tell }: TaskContext<TrainingStep>,
): Promise<TrainingOutcome> {
  const options = trainerOptions({ name: 'benchmark', values: { ...recipe }, locate: () => 'benchmark' });
  const baseProcessBytes = process.memoryUsage.rss();
  await using trainer = await Trainer.create(options);
  const losses: LossPoint[] = [];
  const evaluations: LossPoint[] = [];
  const rates: number[] = [];
  let processBytes = 0;
  trainer.on('step', ({ step, maxSteps, loss, numTokensSeen, tokensPerSecond, memory, evaluation }) => {
    losses.push({ step, loss, numTokens: numTokensSeen });
    if (evaluation !== undefined) evaluations.push({ step, loss: evaluation.loss, numTokens: numTokensSeen });
    rates.push(tokensPerSecond);
    processBytes = Math.max(processBytes, memory.processBytes);
    tell({ step, maxSteps, loss });
  });
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
  delay.enable();
  await trainer.run();
  delay.disable();
  const text = sample === undefined ? undefined : await trainer.sample({ ...sample, temperature: 0.7 });
  const { plannedBytes, allocatedBytes } = trainer.memory();
  return {
    model: options.model.describe(),
    numParameters: options.model.numParameters,
    losses,
    evaluations,
    tokensPerSecond: quantiles(rates).p50,
    plannedBytes,
    allocatedBytes,
    processBytes,
    baseProcessBytes,
    // The timer itself waits for its resolution.
    eventLoopDelayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - delayResolutionMs),
    byKind: memoryReport(trainer.plan).byKind,
    timeline: timelineOf(trainer.plan),
    sample: { prompt: sample?.prompt ?? '', text: text?.text ?? '' },
  };
}
