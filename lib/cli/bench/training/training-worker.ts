import { monitorEventLoopDelay } from 'node:perf_hooks';
import { memoryReport } from '../../../memory/index.js';
import { Trainer } from '../../../train/index.js';
import { trainerOptions } from '../../recipe.js';
import { quantiles } from '../quantiles.js';
import type { LossPoint } from '../memory/report.js';
import { timelineOf } from './timeline.js';
import type { TrainingJob, TrainingMessage, TrainingOutcome } from './training-run.js';

/** The child process of `runTraining`: takes one job, reports steps, sends the outcome, ends. */

const delayResolutionMs = 1;

// The parent went away: nobody waits for the result.
process.once('disconnect', () => process.exit(1));
// A terminal sends them to the parent as well, which decides what becomes of this process.
for (const name of ['SIGINT', 'SIGHUP'] as const) process.on(name, () => {});
process.once('message', (job: TrainingJob) => {
  void train(job)
    .then((outcome) => send({ type: 'outcome', outcome }))
    .catch((error: Error & Record<string, unknown>) => {
      const { code, what, op, expected, received, remedy } = error;
      return send({
        type: 'error',
        message: error.message,
        fields: { code, what, op, expected, received, remedy },
      });
    })
    .then(() => process.disconnect());
});

async function train({ recipe, sample }: TrainingJob): Promise<TrainingOutcome> {
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
    void send({ type: 'step', step, maxSteps, loss });
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

const send = (message: TrainingMessage): Promise<void> =>
  new Promise((resolve) => {
    process.send!(message, undefined, undefined, () => resolve());
  });
