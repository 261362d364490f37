import { join } from 'node:path';
import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { closeQuietly, onPath, openRegular, systemCode } from '../../formats/index.js';
import { required, shown, wholeNumber } from '../../options.js';
import { preferenceTable, trainerTable } from '../options/trainer-table.js';

/** Raised when a checkpoint's meaning changes; others are refused. 2: seeds of a parameter follow from its name;
 * states of the head are (vocabulary, hidden). */
export const checkpointFormatVersion = 2;
export const stateFileName = 'trainer.json';
/** Far more than a run has to say. */
const maxStateBytes = 2 ** 20;

const count = wholeNumber(0);
const description = v.record(v.string(), v.unknown());
const { lrSchedulerType, warmupSteps, warmupRatio, minLrRate, maxGradNorm, dtype } = trainerTable;
const { embeddingLearningRate, headLearningRate, normLearningRate, layerLearningRateDecay } = trainerTable;
const { batchSize, sequenceLength, gradientAccumulationSteps, maxSteps, learningRate, seed } = trainerTable;

const bestEvaluation = { metric: required(trainerTable.metricForBestModel), value: v.number() };

const stateSchema = v.object({
  formatVersion: v.literal(checkpointFormatVersion),
  /** Optimizer steps done. */
  step: count,
  /** Position in the data: sequences consumed. Order and epoch follow from it and the seed. */
  numSequencesSeen: count,
  numTokensSeen: count,
  model: description,
  method: description,
  /** The options of the run that its next step depends on; all of them stand in the file. */
  training: v.object({
    batchSize,
    gradientAccumulationSteps: required(gradientAccumulationSteps),
    sequenceLength,
    maxSteps: required(maxSteps),
    learningRate,
    embeddingLearningRate,
    headLearningRate,
    normLearningRate,
    layerLearningRateDecay,
    lrSchedulerType: required(lrSchedulerType),
    warmupSteps,
    warmupRatio,
    minLrRate,
    maxGradNorm: required(maxGradNorm),
    preference: v.optional(v.object(preferenceTable)),
    dtype: required(dtype),
    /** Every generator is a function of this (or the method's) seed and a counter that stands in this file. */
    seed: required(seed),
  }),
  /** The weights that the run started from, the type of their numbers, and the adapters on top of them. */
  baseModel: v.optional(
    v.object({
      path: v.string(),
      dtype: v.picklist(['f64', 'f32', 'bf16', 'f16']),
      adapter: v.optional(v.string()),
    }),
  ),
  data: v.object({ fingerprint: v.string(), tokenizer: v.string() }),
  /** What the method counts, by the names of its clocks. */
  clocks: description,
  /** The checkpoint with the best evaluation so far, and what it was compared by. */
  best: v.optional(v.object({ step: count, ...bestEvaluation })),
  /** The best evaluation so far, saved or not, and how many in a row have not been better. */
  patience: v.optional(v.object({ ...bestEvaluation, numWorse: count })),
});

/** Everything that a run is beside its tensors: the content of trainer.json. */
export type CheckpointState = v.InferOutput<typeof stateSchema>;

/**
 * Reads and checks the state of a checkpoint.
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, _READ, _TRUNCATED, _INVALID or _VERSION
 */
export async function readState(checkpoint: string): Promise<CheckpointState> {
  const path = join(checkpoint, stateFileName);
  const text = await readText(checkpoint, path);
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch (cause) {
    // What was written whole ends with the brace of the outermost object on a line of its own.
    const code = text.endsWith('\n}\n')
      ? 'ERR_COMPACT_CHECKPOINT_INVALID'
      : 'ERR_COMPACT_CHECKPOINT_TRUNCATED';
    throw compactError(code, `${path} is not JSON`, { received: (cause as Error).message, cause });
  }
  checkVersion(path, state);
  const result = v.safeParse(stateSchema, state, { abortEarly: true, abortPipeEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${path} is not the state of a run`, {
    op: v.getDotPath(issue) ?? undefined,
    expected: issue.message,
    received: `${v.getDotPath(issue) ?? 'the file'}: ${shown(issue.input)}`,
  });
}

function readText(checkpoint: string, path: string): Promise<string> {
  return onPath('ERR_COMPACT_CHECKPOINT_READ', path, async () => {
    const missing = (cause?: unknown): Error =>
      compactError('ERR_COMPACT_CHECKPOINT_MISSING', `${checkpoint} is not a checkpoint`, {
        expected: `a folder with ${stateFileName}`,
        received:
          cause instanceof Error ? cause.message : `no regular file of at most ${maxStateBytes} bytes`,
        remedy: 'Name a folder checkpoint-<step>',
        cause,
      });
    const file = await openRegular(path).catch((cause: unknown) => {
      throw systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR' ? missing(cause) : cause;
    });
    if (file === undefined) throw missing();
    try {
      if ((await file.stat()).size > maxStateBytes) throw missing();
      return await file.readFile('utf8');
    } finally {
      await closeQuietly(file);
    }
  });
}

function checkVersion(path: string, state: unknown): void {
  const version = (state as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version !== 'number' || version === checkpointFormatVersion) return;
  const isNewer = version > checkpointFormatVersion;
  throw compactError(
    'ERR_COMPACT_CHECKPOINT_VERSION',
    isNewer
      ? `${path} was made by a newer version`
      : `${path} was made by an older version, which numbered projections and seeds in another way`,
    {
      expected: `format ${checkpointFormatVersion}`,
      received: `format ${version}`,
      remedy: isNewer
        ? 'Update compact-train: npm install compact-train@latest'
        : 'Go on with the version that wrote it; its weights, model.safetensors with config.json, open in other programs as before',
    },
  );
}
