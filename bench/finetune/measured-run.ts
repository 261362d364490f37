/** One training run of `scripts/bench finetune`, through the public interface, and what is told of it. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchDevice } from '../../lib/cli/bench/device.js';
import { quantiles } from '../../lib/cli/bench/quantiles.js';
import { compile } from '../../lib/compile/index.js';
import { isCompactError } from '../../lib/errors.js';
import { makeTemporaryFolder } from '../../lib/formats/index.js';
import { methodFromDescription } from '../../lib/methods/index.js';
import {
  evaluateModel,
  fineTuneOptions,
  optionsFromRecipe,
  Trainer,
  type EvaluateReport,
  type FineTuneOptions,
  type StepReport,
  type TrainerOptions,
} from '../../lib/train/index.js';
import { resolveOptions } from '../../lib/train/options/options.js';
import { compileOptionsOf } from '../../lib/train/start.js';
import type { Judged, Scores, Sweep } from './sweep.js';

type Quantiles = ReturnType<typeof quantiles>;

/** What one run came to; without `heldOut` and `test` where it diverged. */
export interface MeasuredRun extends Judged {
  readonly dtype: string;
  /** Sequences of a step by tokens of a sequence. */
  readonly shape: string;
  readonly steps: number;
  /** Of the plan that ran. */
  readonly plannedBytes: number;
  /** Of the same run with `recompute: cheap`. */
  readonly recomputedBytes: number;
  /** Mean training loss of each tenth of the run. */
  readonly trainLosses: readonly number[];
  readonly evaluations: readonly { readonly step: number; readonly loss: number }[];
  /** Of the whole run, start, evaluations and checkpoint included. */
  readonly seconds: number;
  /** Of all threads of the process, in the same time: other programs on the machine add nothing to it. */
  readonly cpuSeconds: number;
  readonly msPerStep: Quantiles;
  /** The same in time of the processor. */
  readonly cpuMsPerStep: Quantiles;
  /** Share of the time of steps that was spent waiting for batches. */
  readonly dataWaitShare: number;
}

/** Accuracy where there is one, else the loss, of the test data where there is any; undefined of a run that diverged. */
export function valueOf({ test, heldOut }: Judged): number | undefined {
  const scores = test ?? heldOut;
  return scores?.accuracy ?? scores?.loss;
}

/** Everything that the outcome depends on, as plain values. */
export type RunRecipe = Pick<Sweep, 'model' | 'test'> & {
  readonly options: Readonly<Record<string, unknown>>;
};

/** Where a run computes, and who is told. */
export interface RunControl {
  readonly device: BenchDevice;
  readonly threads: number | undefined;
  readonly signal: AbortSignal;
  onStep(report: StepReport): void;
}

/**
 * Trains a model further, evaluates it, and leaves nothing behind.
 * @throws what `fineTuneOptions`, `Trainer.create` and `evaluateModel` throw; a run that stops being numbers has an outcome
 */
export async function measureRun(recipe: RunRecipe, control: RunControl): Promise<MeasuredRun> {
  const folder = await makeTemporaryFolder();
  try {
    return await measureIn(folder, recipe, control);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureIn(
  folder: string,
  { model, test, options: given }: RunRecipe,
  { device, threads, signal, onStep }: RunControl,
): Promise<MeasuredRun> {
  const start = { time: performance.now(), cpu: process.cpuUsage() };
  const where = { device: device.word, threads, signal };
  const options = await optionsOf(model, { ...given, outputDirectory: join(folder, 'run') });
  const reports: TimedReport[] = [];
  const trainer = await Trainer.create({ ...options, ...where });
  let end: Awaited<ReturnType<Trainer['run']>> | undefined;
  try {
    let before = process.cpuUsage();
    trainer.on('step', (report) => {
      reports.push({ ...report, cpuMs: milliseconds(process.cpuUsage(before)) });
      onStep(report);
      before = process.cpuUsage();
    });
    end = await trainer.run();
  } catch (error) {
    if (!isCompactError(error) || error.code !== 'ERR_COMPACT_NOT_FINITE') throw error;
  } finally {
    await trainer.close();
  }
  const cpuSeconds = milliseconds(process.cpuUsage(start.cpu)) / 1000;
  const seconds = (performance.now() - start.time) / 1000;
  const tested =
    end === undefined || test === undefined
      ? undefined
      : await evaluateModel({ ...where, model: end.checkpoint!.path, data: dataOf(options, test) });
  const settings = resolveOptions({ ...options, recompute: 'cheap' });
  const { batchSize, gradientAccumulationSteps = 1, sequenceLength, dtype = 'f32' } = options;
  return {
    dtype,
    shape: `${batchSize * gradientAccumulationSteps}x${sequenceLength}`,
    steps: reports.length,
    heldOut: end?.evaluation && scoresOf(end.evaluation),
    test: tested && scoresOf(tested),
    plannedBytes: trainer.plan.peakBytes,
    recomputedBytes: compile(compileOptionsOf(settings, device.target)).peakBytes,
    trainLosses: tenths(reports.map(({ loss }) => loss)),
    evaluations: reports.flatMap(({ step, evaluation }) =>
      evaluation === undefined ? [] : [{ step, loss: evaluation.loss }],
    ),
    seconds,
    cpuSeconds,
    ...timesOf(reports),
  };
}

/** Records are fine-tuned on, with what `fineTune` chooses; text is trained on as in a recipe. */
function optionsOf(model: string, given: RunRecipe['options']): Promise<TrainerOptions> | TrainerOptions {
  const { data, method } = given;
  if (!Object.hasOwn(Object(data) as object, 'records'))
    return optionsFromRecipe({ ...given, baseModel: model });
  return fineTuneOptions({
    ...(given as Omit<FineTuneOptions, 'model' | 'method'>),
    model,
    method: methodFromDescription(method as Readonly<Record<string, unknown>>),
  });
}

/** Test data is read as the training data is. */
const dataOf = ({ data }: TrainerOptions, test: string): TrainerOptions['data'] =>
  'records' in data ? { ...data, records: test } : { ...data, train: test };

const scoresOf = ({ loss, metrics }: Pick<EvaluateReport, 'loss' | 'metrics'>): Scores => {
  const accuracy = metrics?.['accuracy'];
  return accuracy === undefined ? { loss } : { loss, accuracy };
};

interface TimedReport extends StepReport {
  /** Of the processor, since the step before. */
  readonly cpuMs: number;
}

const milliseconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

/** Of the steps after the first, which also pays for what is done once, that nothing was evaluated after. */
function timesOf(
  reports: readonly TimedReport[],
): Pick<MeasuredRun, 'msPerStep' | 'cpuMsPerStep' | 'dataWaitShare'> {
  const steps = reports.slice(1).filter(({ evaluation }) => evaluation === undefined);
  const waiting = steps.map(({ time }) => time.dataMs);
  const all = steps.map(({ time }) => time.dataMs + time.computeMs + time.updateMs + time.refreshMs);
  return {
    msPerStep: quantiles(all),
    cpuMsPerStep: quantiles(steps.map(({ cpuMs }) => cpuMs)),
    dataWaitShare: sum(waiting) / sum(all),
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Means of ten equal parts, or of as many as there are values. */
function tenths(values: readonly number[]): number[] {
  const count = Math.min(10, values.length);
  return Array.from({ length: count }, (_, i) => {
    const part = values.slice(
      Math.floor((i * values.length) / count),
      Math.floor(((i + 1) * values.length) / count),
    );
    return sum(part) / part.length;
  });
}
