import { compile } from '../compile/index.js';
import { compactError, isCompactError } from '../errors.js';
import { memoryReport } from '../memory/index.js';
import { dense } from '../methods/index.js';
import { parseDevice } from '../runtime/device.js';
import { deviceTarget } from '../runtime/index.js';
import type { DeviceKind } from '../runtime/types.js';
import { checkFits } from '../train/fit.js';
import { fineTuneOptions, type TrainerOptions } from '../train/index.js';
import type { TrainerSettings } from '../train/options/options.js';
import { planRun } from '../train/plan-run.js';
import { isNamed, type JobDevice } from './device-memory.js';
import { jobOptions, samplePromptsOf } from './job-recipe.js';
import type { JobPlan } from './job.js';

/** What plans are made for. */
export interface PlanningOptions {
  readonly presetDirectory: string;
  readonly devices: readonly JobDevice[];
}

const MiB = 2 ** 20;
/** Of a process beside its plan: Node with this package and its data, or on a GPU its context and code; on the safe side. */
const cpuOverheadBytes = 160 * MiB;
const gpuOverheadBytes = 768 * MiB;

/**
 * What a job would take, without doing it.
 * @throws what `fineTuneOptions` and `Trainer.create` throw before a device is opened; ERR_COMPACT_DEVICE_UNAVAILABLE for one that
 *   is not among those for jobs; ERR_COMPACT_DOES_NOT_FIT with `plan` and `remedies` in its details
 */
export async function planJob(
  recipe: unknown,
  { presetDirectory, devices }: PlanningOptions,
): Promise<JobPlan> {
  const prompts = samplePromptsOf(recipe);
  // Nothing is written there: the job has no folder yet.
  const folders = { presetDirectory, folder: 'the folder of the job' };
  const memoryLimitBytes = devices.find(({ name }) => name === 'cpu')?.memoryBytes;
  const given = await jobOptions(recipe, folders, memoryLimitBytes);
  const options = await fineTuneOptions({ ...given, resumeFromCheckpoint: undefined });
  if (prompts.length > 0 && options.model.isCausal !== true) throw writesNoText(options.model.name);
  const device = deviceOf(options, devices);
  const target = deviceTarget(device.kind, { threads: options.threads });
  const { settings, plan, compileOptions, maxSteps, numTokens } = await planRun(options, target);
  const planned: JobPlan = {
    device: device.name,
    plannedBytes: plan.peakBytes,
    overheadBytes: device.kind === 'cpu' ? cpuOverheadBytes : gpuOverheadBytes,
    numParameters: options.model.numParameters,
    maxSteps,
    numTokens,
    bytesByKind: memoryReport(plan).byKind,
    denseBytesByKind: memoryReport(compile({ ...compileOptions, method: dense() })).byKind,
  };
  try {
    checkFits(plan, compileOptions, limitBytesOf(planned, settings, devices));
  } catch (error) {
    if (!isCompactError(error, 'ERR_COMPACT_DOES_NOT_FIT')) throw error;
    const { code, what, op, expected, received, remedy, details } = error;
    throw compactError(code, what, {
      op,
      expected,
      received,
      remedy,
      details: { ...details, plan: planned },
    });
  }
  return planned;
}

const writesNoText = (name: string): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', `${name} writes no text`, {
    op: 'samplePrompts',
    expected: 'a causal model, whose tokens see those before them alone',
    received: name,
    remedy: 'Leave samplePrompts out',
  });

interface NamedDevice {
  readonly kind: DeviceKind;
  readonly name: string;
}

/** A GPU that no number names is any of its kind: the queue takes one that has room. */
function deviceOf({ device: word = 'auto' }: TrainerOptions, devices: readonly JobDevice[]): NamedDevice {
  const named = word === 'auto' ? chosenOf(devices) : namedBy(word);
  if (devices.some((device) => isNamed(device, named.name))) return named;
  throw compactError('ERR_COMPACT_DEVICE_UNAVAILABLE', `no job is done on the device ${named.name}`, {
    op: 'device',
    expected: `one of ${devices.map(({ name }) => name).join(', ')}`,
    received: word,
    device: named.name,
  });
}

const chosenOf = (devices: readonly JobDevice[]): NamedDevice =>
  namedBy(devices.some((device) => isNamed(device, 'cuda')) ? 'cuda' : 'cpu');

function namedBy(word: string): NamedDevice {
  const { kind, index } = parseDevice(word);
  return { kind, name: word.includes(':') && kind !== 'cpu' ? `${kind}:${index}` : kind };
}

/** What a plan may have at most: on an empty device, and by its recipe. */
function limitBytesOf(
  { device, overheadBytes: beside }: JobPlan,
  { memoryLimitBytes = Infinity }: Pick<TrainerSettings, 'memoryLimitBytes'>,
  devices: readonly JobDevice[],
): number {
  const own = devices.filter((one) => isNamed(one, device)).map(({ memoryBytes }) => memoryBytes - beside);
  return Math.min(Math.max(1, ...own), memoryLimitBytes);
}
