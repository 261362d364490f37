import { basename } from 'node:path';
import { listCheckpoints } from '../train/checkpoints/checkpoint-folder.js';
import { readState } from '../train/checkpoints/checkpoint-state.js';
import type { StepReport, Trainer } from '../train/index.js';
import type { JobCheckpoint, NewJobEvent } from './job.js';
import type { JobProgress } from './job-store.js';
import { metricsEvent, readMetricsHistory, type StepMetrics } from './metrics-history.js';
import { keepSamples, readSamples } from './sample-history.js';

/** What is known of a job outside of its process. */
export interface KnownProgress {
  readonly step: number;
  readonly trainedTokens: number;
  /** Steps of checkpoints. */
  readonly checkpoints: readonly number[];
  /** How often the job was begun, this time included. */
  readonly attempts: number;
}

/** Writes texts with the model of a step, and gives the events that tell them. */
type WriteSamples = (step: number) => Promise<readonly NewJobEvent[]>;

/** Options of a run that decide what is told of it. */
interface Telling {
  readonly folder: string;
  readonly loggingSteps: number;
  readonly maxSteps: number;
}

/**
 * Tells what a job does, each thing once, however often its process was lost: steps that are known are done again in silence,
 * and what was done but never got out is read from the job's folder. All of a step is told at once.
 */
export class JobReporter {
  readonly #tell: (progress: JobProgress) => void;
  readonly #telling: Telling;
  readonly #checkpoints: Set<number>;
  #step: number;
  #trainedTokens: number;
  /** Of the latest step that was measured. */
  #metrics: StepMetrics = { step: 0 };
  #loss: number | undefined;
  #evalLoss: number | undefined;
  #lastSampled: Promise<void> = Promise.resolve();

  constructor(tell: (progress: JobProgress) => void, known: KnownProgress, telling: Telling) {
    this.#tell = tell;
    this.#telling = telling;
    this.#step = known.step;
    this.#trainedTokens = known.trainedTokens;
    this.#checkpoints = new Set(known.checkpoints);
  }

  /** Of the last step. */
  get loss(): number | undefined {
    return this.#loss;
  }

  /** Of the last evaluation. */
  get evalLoss(): number | undefined {
    return this.#evalLoss;
  }

  /**
   * Tells what came before the checkpoint that a run goes on from, as far as it is not known.
   * @param writeSamples what is told beside an evaluation, by the model of that checkpoint
   */
  async catchUp(resumedFrom: string, writeSamples: WriteSamples): Promise<void> {
    const { folder, maxSteps } = this.#telling;
    const { step, numTokensSeen } = await readState(resumedFrom);
    const history = (await readMetricsHistory(folder)).filter((metrics) => metrics.step <= step);
    for (const metrics of history) this.#remember(metrics);
    const kept = await readSamples(folder);
    const events: NewJobEvent[] = [];
    for (const metrics of history.filter((one) => one.step > this.#step)) {
      const samples = kept.get(metrics.step);
      events.push(metricsEvent(metrics, maxSteps), ...(samples ?? []));
      // Those of a checkpoint's own step are written behind it, and so may be missing.
      if (samples === undefined && metrics.step === step && 'evalLoss' in metrics)
        events.push(...(await writeSamples(step)));
    }
    this.#advance(step, numTokensSeen, events);
    for (const { step: saved, path } of await listCheckpoints(folder))
      if (saved <= step)
        this.checkpoint(
          { step: saved, path },
          history.find((metrics) => metrics.step === saved),
        );
  }

  /**
   * Tells of everything that a run does from now on.
   * @param writeSamples what is told beside an evaluation; the run does no step before it has been written
   */
  listen(trainer: Trainer, writeSamples: WriteSamples): void {
    trainer.on('step', (report) => {
      const { step, evaluation } = report;
      if (evaluation === undefined || step <= this.#step) this.#told(report);
      else this.#lastSampled = writeSamples(step).then((samples) => this.#sampled(report, samples));
    });
    trainer.on('warning', ({ message }) => this.message(message, 'warn'));
  }

  /** Waits until what a run has done is told. */
  settled(): Promise<void> {
    return this.#lastSampled;
  }

  message(message: string, level: NewJobEvent['level'] = 'info', data: NewJobEvent['data'] = {}): void {
    this.#send([{ level, type: 'message', message, data }]);
  }

  /** Tells of a checkpoint, with what was measured there, unless it is known. */
  checkpoint(
    { step, path }: { readonly step: number; readonly path: string },
    measured: StepMetrics | undefined = this.#metrics,
  ): void {
    if (this.#checkpoints.has(step)) return;
    this.#checkpoints.add(step);
    const metrics = measured?.step === step ? numbersOf(measured) : {};
    const checkpoint = { step, path: basename(path), metrics };
    const message = `Checkpoint of step ${step} is saved`;
    this.#send(
      [{ level: 'info', type: 'message', message, data: { step, path: checkpoint.path } }],
      checkpoint,
    );
  }

  #sampled(report: StepReport, samples: readonly NewJobEvent[]): void {
    const { step } = report;
    try {
      if (samples.length > 0) keepSamples(this.#telling.folder, { step, samples });
    } catch (error) {
      // No training is lost for a sample.
      this.message(`The samples of step ${step} cannot be kept: ${(error as Error).message}`, 'warn');
    }
    this.#told(report, samples);
  }

  #told(report: StepReport, samples: readonly NewJobEvent[] = []): void {
    const { step, numTokensSeen, checkpoint } = report;
    const { loggingSteps, maxSteps } = this.#telling;
    const metrics = metricsOf(report, loggingSteps);
    this.#remember({ step, loss: report.loss, ...metrics });
    const measured = metrics === undefined ? [] : [metricsEvent(metrics, maxSteps)];
    if (step > this.#step) this.#advance(step, numTokensSeen, [...measured, ...samples]);
    if (checkpoint !== undefined) this.checkpoint(checkpoint);
  }

  #remember(metrics: StepMetrics): void {
    const { loss, evalLoss } = metrics;
    this.#metrics = metrics;
    if (typeof loss === 'number') this.#loss = loss;
    if (typeof evalLoss === 'number') this.#evalLoss = evalLoss;
  }

  #advance(step: number, trainedTokens: number, events: readonly NewJobEvent[]): void {
    if (step <= this.#step) return;
    this.#step = step;
    this.#trainedTokens = trainedTokens;
    this.#send(events);
  }

  #send(events: readonly NewJobEvent[], checkpoint?: Omit<JobCheckpoint, 'createdAt'>): void {
    const done = { step: this.#step, trainedTokens: this.#trainedTokens, events };
    this.#tell(checkpoint === undefined ? done : { ...done, checkpoint });
  }
}

/** What metrics.jsonl has of a step: of steps that are logged, and of those with an evaluation. */
function metricsOf(report: StepReport, loggingSteps: number): StepMetrics | undefined {
  const { step, maxSteps, evaluation } = report;
  const isLogged = step % loggingSteps === 0 || step === 1 || step === maxSteps;
  if (!isLogged && evaluation === undefined) return undefined;
  return { step, ...(isLogged && progressOf(report)), ...(evaluation && evaluationOf(evaluation)) };
}

function progressOf(report: StepReport): object {
  const { epoch, loss, learningRate, gradNorm, numTokensSeen, tokensPerSecond, metrics, memory } = report;
  const { allocatedBytes, processBytes } = memory;
  return {
    ...{ epoch, loss, learningRate, gradNorm, numTokensSeen, tokensPerSecond },
    ...metrics,
    ...{ allocatedBytes, processBytes },
  };
}

function evaluationOf({ loss, perplexity, metrics = {} }: NonNullable<StepReport['evaluation']>): object {
  const named = Object.entries(metrics).map(
    ([name, value]) => [`eval${name[0]!.toUpperCase()}${name.slice(1)}`, value] as const,
  );
  return { evalLoss: loss, evalPerplexity: perplexity, ...Object.fromEntries(named) };
}

const numbersOf = (metrics: StepMetrics): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(metrics).filter(
      (entry): entry is [string, number] => entry[0] !== 'step' && Number.isFinite(entry[1]),
    ),
  );
