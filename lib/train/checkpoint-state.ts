import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { compactError } from '../errors.js';

/** Raised when a checkpoint's meaning changes; older ones stay readable or are refused by name. */
export const checkpointFormatVersion = 1;
export const stateFileName = 'trainer.json';

const count = z.number().int().nonnegative();
const description = z.record(z.string(), z.unknown());

const stateSchema = z.object({
  formatVersion: z.literal(checkpointFormatVersion),
  /** Optimizer steps done. */
  step: count,
  /** Position in the data: sequences consumed. Order and epoch follow from it and the seed. */
  numSequencesSeen: count,
  numTokensSeen: count,
  model: description,
  method: description,
  training: z.object({
    batchSize: count,
    gradientAccumulationSteps: count,
    sequenceLength: count,
    maxSteps: count,
    learningRate: z.number(),
    embeddingLearningRate: z.number().optional(),
    headLearningRate: z.number().optional(),
    normLearningRate: z.number().optional(),
    lrSchedulerType: z.string(),
    warmupSteps: count.optional(),
    warmupRatio: z.number().optional(),
    minLrRate: z.number().optional(),
    maxGradNorm: z.number(),
    dtype: z.enum(['f32', 'bf16']),
    /** Every generator is a function of this (or the method's) seed and a counter that stands in this file. */
    seed: count,
  }),
  data: z.object({ fingerprint: z.string(), tokenizer: z.string() }),
  projection: z.object({
    completedSteps: count,
    stepsSinceRefresh: count,
    firstMomentSteps: count,
    epoch: count,
  }),
  /** The checkpoint with the lowest evaluation loss so far. */
  best: z.object({ step: count, loss: z.number() }).optional(),
});

/** Everything that a run is beside its tensors: the content of trainer.json. */
export type CheckpointState = z.infer<typeof stateSchema>;

/**
 * Reads and checks the state of a checkpoint.
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, ERR_COMPACT_CHECKPOINT_INVALID, ERR_COMPACT_CHECKPOINT_VERSION
 */
export async function readState(checkpoint: string): Promise<CheckpointState> {
  const path = join(checkpoint, stateFileName);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw compactError('ERR_COMPACT_CHECKPOINT_MISSING', `${checkpoint} is not a checkpoint`, {
      expected: `a folder with ${stateFileName}`,
      received: (cause as Error).message,
      cause,
    });
  }
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
  const result = stateSchema.safeParse(state);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${path} is not the state of a run`, {
    received: `${issue?.path.join('.') || 'the file'}: ${issue?.message}`,
  });
}

function checkVersion(path: string, state: unknown): void {
  const version = (state as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === 'number' && version > checkpointFormatVersion)
    throw compactError('ERR_COMPACT_CHECKPOINT_VERSION', `${path} was made by a newer version`, {
      expected: `format ${checkpointFormatVersion}`,
      received: `format ${version}`,
      remedy: 'Update compact-train: npm install compact-train@latest',
    });
}
