import { join, resolve } from 'node:path';
import { compile } from '../compile/index.js';
import type { CompileOptions, Plan, Target } from '../compile/index.js';
import { isPackedData, prepareData, type DatasetOptions, type RunData } from '../data/index.js';
import { compactError } from '../errors.js';
import { removeLeftovers } from '../formats/index.js';
import { deviceTarget, Engine } from '../runtime/index.js';
import { checkAborted } from './abort.js';
import { checkFields, vocabularyOf } from './batch-fields.js';
import {
  checkpointBytes,
  checkpointPath,
  listCheckpointNames,
  listCheckpoints,
  resolveCheckpoint,
} from './checkpoints/checkpoint-folder.js';
import { checkResumable, openCheckpoint } from './checkpoints/checkpoint.js';
import type { OpenCheckpoint } from './checkpoints/checkpoint.js';
import type { CheckpointState } from './checkpoints/checkpoint-state.js';
import { checkRatesAreUsed } from './schedule/learning-rates.js';
import { checkFits, loadPlan } from './fit.js';
import { MetricsLog, type MetricsSink } from './logs/metrics-log.js';
import { engineOptionsOf, resolveOptions, settingsOfRun } from './options/options.js';
import type { RunSettings, TrainerSettings } from './options/options.js';
import { OutputData } from './output-data.js';
import {
  computeReference,
  loadReference,
  referenceKey,
  saveReference,
} from './reference-log-probabilities.js';
import { Resources } from './resources.js';
import { RunLock } from './checkpoints/run-lock.js';
import { TensorBoardLog } from './logs/tensorboard-log.js';
import { checkNewHead, headWarnings } from './weights/new-head.js';
import { openStartingWeights, type StartingWeights } from './weights/starting-weights.js';
import { writeConstants } from './weights/tensor-files.js';
import { TrainingState } from './checkpoints/training-state.js';
import type { CheckpointInfo, TrainerOptions } from './options/types.js';

/** Everything that a started run consists of. */
export interface TrainerParts {
  readonly settings: RunSettings;
  readonly plan: Plan;
  readonly engine: Engine;
  readonly dataset: RunData;
  readonly state: TrainingState;
  readonly logs: readonly MetricsSink[];
  /** Of the output folder. */
  readonly lock: RunLock | undefined;
  /** The checkpoint that the run goes on from. */
  readonly resumed: { readonly path: string; readonly state: CheckpointState } | undefined;
  /** The same, when it stands in the output folder. */
  readonly present: CheckpointInfo | undefined;
  /** The weights that the run started from, before it was interrupted or now. */
  readonly baseModel: CheckpointState['baseModel'];
  /** Sentences on what may not be as the user thinks: of the data, and of what the weights to start from do not have. */
  readonly warnings: readonly string[];
  readonly resources: Resources;
}

/** First everything that can be refused, then what is written, last what is allocated. */
export async function startTrainer(options: TrainerOptions): Promise<TrainerParts> {
  const settings = resolveOptions(options);
  const resources = new Resources();
  try {
    return await start(settings, resources);
  } catch (error) {
    await resources[Symbol.asyncDispose]();
    throw error;
  }
}

async function start(settings: TrainerSettings, resources: Resources): Promise<TrainerParts> {
  const { model, sequenceLength, outputDirectory, signal } = settings;
  checkAborted(signal);
  // Of a run that goes on from a checkpoint they are not asked for.
  await using found = (await goesOn(settings)) ? undefined : await openStartingWeights(settings);
  checkAborted(signal);
  checkNewHead(model, settings.method, found?.base);
  checkFields(model, settings.data);
  const prepared = await prepareData(settings.data, readingOf(settings), model.batchFields);
  checkAborted(signal);
  const engine = resources.use(await Engine.open(engineOptionsOf(settings)));
  checkAborted(signal);
  const target = deviceTarget(engine.device.kind, { threads: engine.threads });
  const compileOptions = compileOptionsOf(settings, target, found?.base?.newParameters);
  const plan = compile(compileOptions);
  checkRatesAreUsed(settings, plan);
  checkFits(plan, compileOptions, engine.memoryLimitBytes);
  const lock = outputDirectory === undefined ? undefined : await RunLock.acquire(outputDirectory);
  if (lock !== undefined) resources.use(lock);
  await using checkpoint = await findCheckpoint(settings, plan);
  // A checkpoint that was there before may be gone since.
  await using starting =
    checkpoint === undefined ? (found ?? (await openStartingWeights(settings))) : undefined;
  checkAborted(signal);
  const output = outputDirectory === undefined ? undefined : await prepareOutput(outputDirectory, checkpoint);
  if (output !== undefined) resources.use(output);
  const dataset = resources.use(
    await prepared.open(output?.dataDirectory, {
      signal,
      onProgress: settings.onTokenize,
      threads: engine.threads,
    }),
  );
  checkAborted(signal);
  const resumed = checkpoint && { path: checkpoint.path, state: checkpoint.state };
  if (resumed !== undefined) checkResumable(resumed.path, resumed.state, settings, dataset.fingerprint);
  await loadPlan(engine, plan, compileOptions);
  await writeConstants(engine, plan, model, sequenceLength);
  await starting?.writeInto(engine, plan, signal);
  await tellReference({ settings, engine, plan, dataset, output, resumed, starting });
  await checkpoint?.loadInto(engine, signal);
  const run = settingsOfRun(settings, dataset.numTrainSequences);
  const state = new TrainingState({ ...run, engine, plan, dataset });
  resources.add(() => state.settle());
  if (resumed !== undefined) state.restore(resumed.state);
  const present = resumed && (await presentCheckpoint(resumed, outputDirectory));
  checkAborted(signal);
  const logs = await openLogs(settings, state.step);
  resources.add(async () => void (await Promise.all(logs.map((log) => log.flush()))));
  lock?.keep();
  output?.keep();
  const baseModel = resumed === undefined ? describeBase(starting!, settings) : resumed.state.baseModel;
  const warnings = [...dataset.warnings, ...headWarnings(starting?.base)];
  return {
    settings: run,
    warnings,
    ...{ plan, engine, dataset, state, logs, lock, resumed, present, baseModel, resources },
  };
}

/** How a run reads its data. */
export const readingOf = (settings: TrainerSettings): DatasetOptions => ({
  sequenceLength: settings.sequenceLength,
  vocabularySize: vocabularyOf(settings.model),
  seed: settings.seed,
  sequencesPerStep: settings.batchSize * settings.gradientAccumulationSteps,
  needsValidation: settings.evalSteps > 0,
});

/** Of preference pairs: what the model that the run starts from gives them, as it was kept or once more. */
async function tellReference({
  settings,
  engine,
  plan,
  dataset: { answers = [] },
  output,
  resumed,
  starting,
}: Pick<TrainerParts, 'engine' | 'plan' | 'dataset' | 'resumed'> & {
  readonly settings: TrainerSettings;
  readonly output: OutputData | undefined;
  readonly starting: StartingWeights | undefined;
}): Promise<void> {
  if (answers.length === 0) return;
  const { baseModel, adapter } =
    resumed === undefined
      ? settings
      : { baseModel: resumed.state.baseModel?.path, adapter: resumed.state.baseModel?.adapter };
  const origin = { ...settings, baseModel, adapter };
  const key = referenceKey(answers, origin);
  const folder = output?.dataDirectory;
  if (starting === undefined) {
    if (folder !== undefined && (await loadReference(folder, answers, key))) return;
    await using weights = await openStartingWeights(origin);
    await weights.writeInto(engine, plan, settings.signal);
  }
  await computeReference(engine, answers, settings);
  if (folder !== undefined) await saveReference(folder, answers, key);
}

const describeBase = (
  { base }: StartingWeights,
  { adapter }: TrainerSettings,
): CheckpointState['baseModel'] =>
  base && { path: base.path, dtype: base.dtype, ...(adapter !== undefined && { adapter }) };

/**
 * What a run compiles for a device.
 * @param newParameters of the model, that the weights to start from do not have
 */
export function compileOptionsOf(
  settings: TrainerSettings,
  target: Target,
  newParameters: readonly string[] = [],
): CompileOptions {
  const { model, method, batchSize, sequenceLength, dtype, seed } = settings;
  const { gradientDtype, recompute, updatePlacement } = settings;
  const { gradientAccumulationSteps, maxGradNorm, lossChunkTokens } = settings;
  return {
    model,
    method,
    batchSize,
    sequenceLength,
    isPacked: isPackedData(settings.data, model.batchFields),
    dtype,
    gradientDtype,
    recompute,
    updatePlacement,
    seed,
    maxGradNorm,
    lossChunkTokens,
    target,
    accumulateGradients: gradientAccumulationSteps > 1,
    layerRates: settings.layerLearningRateDecay !== undefined,
    loadedParameters:
      settings.baseModel === undefined
        ? []
        : model.weights
            .map(({ parameter }) => parameter)
            .filter((parameter) => !newParameters.includes(parameter)),
  };
}

async function openLogs(
  { outputDirectory, loggingDirectory }: TrainerSettings,
  step: number,
): Promise<readonly MetricsSink[]> {
  const logs: MetricsSink[] = [];
  if (outputDirectory !== undefined)
    logs.push(await MetricsLog.open(join(outputDirectory, 'metrics.jsonl'), step));
  if (loggingDirectory !== undefined) logs.push(await TensorBoardLog.open(loggingDirectory, step));
  return logs;
}

async function findCheckpoint(
  { resumeFromCheckpoint, outputDirectory, model }: TrainerSettings,
  plan: Plan,
): Promise<OpenCheckpoint | undefined> {
  const path = await resolveCheckpoint(resumeFromCheckpoint, outputDirectory);
  return path === undefined ? undefined : openCheckpoint(path, { plan, model });
}

const goesOn = async ({ resumeFromCheckpoint, outputDirectory }: TrainerSettings): Promise<boolean> =>
  (await resolveCheckpoint(resumeFromCheckpoint, outputDirectory)) !== undefined;

/** A run never writes over the checkpoints of another: those in its folder are its own past, or it is refused. */
async function prepareOutput(
  outputDirectory: string,
  checkpoint: OpenCheckpoint | undefined,
): Promise<OutputData> {
  const others = (await listCheckpointNames(outputDirectory)).filter(
    ({ path, step }) => step >= (checkpoint?.state.step ?? 0) && resolve(path) !== checkpoint?.path,
  );
  const other = others.at(-1)?.path;
  if (other !== undefined) {
    const isWhole = (await listCheckpoints(outputDirectory)).some(({ path }) => path === other);
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${outputDirectory} holds checkpoints of another run`, {
      op: 'outputDirectory',
      expected: checkpoint === undefined ? 'no checkpoints' : `none after ${checkpoint.path}`,
      received: isWhole ? other : `${other}, which lacks some of its files`,
      remedy: isWhole
        ? "Go on from it with resumeFromCheckpoint: 'latest', or choose another outputDirectory"
        : 'Move it away, or choose another outputDirectory',
    });
  }
  await removeLeftovers(outputDirectory, true);
  return OutputData.prepare(join(outputDirectory, 'data'));
}

async function presentCheckpoint(
  { path, state: { step, best } }: NonNullable<TrainerParts['resumed']>,
  outputDirectory: string | undefined,
): Promise<CheckpointInfo | undefined> {
  if (outputDirectory === undefined || resolve(checkpointPath(outputDirectory, step)) !== path)
    return undefined;
  return { path, step, numBytes: await checkpointBytes(path), isBest: best?.step === step, durationMs: 0 };
}
