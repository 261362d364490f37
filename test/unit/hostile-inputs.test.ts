/**
 * Every public entry under arguments that are wrong in one place: each gives a typed error or does its work, and does no
 * work with a value of another type or under a misspelt name. `scripts/fuzz-inputs.cjs` runs it with more of them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { parseRecipe, setRecipeValue } from '../../lib/cli/recipe-file.js';
import { trainerOptions } from '../../lib/cli/recipe.js';
import { compile, encodePlan, type Plan } from '../../lib/compile/index.js';
import { isCompactError } from '../../lib/errors.js';
import { Dataset, loadTokenizer } from '../../lib/data/index.js';
import { SafetensorsFile } from '../../lib/formats/index.js';
import { largestBatch, memoryReport, remedies } from '../../lib/memory/index.js';
import {
  compact,
  dense,
  lora,
  loraFa,
  mesa,
  methodFromDescription,
  relora,
  StepClock,
} from '../../lib/methods/index.js';
import { llama, modelFromDescription, modelFromPretrainedConfig } from '../../lib/models/index.js';
import { learningRateSchedule } from '../../lib/train/index.js';
import {
  cpuTarget,
  cudaReport,
  cudaTarget,
  deviceTarget,
  Engine,
  environment,
  findDevice,
} from '../../lib/runtime/index.js';
import { readState } from '../../lib/train/checkpoints/checkpoint-state.js';
import {
  evaluateModel,
  exportAdapters,
  exportGguf,
  fineTuneFromRecipe,
  fineTuneOptions,
  exportModel,
  listCheckpoints,
  loadModel,
  optionsFromRecipe,
  Sampler,
  Trainer,
} from '../../lib/train/index.js';
import { copyOf, mutate, mutations } from '../helpers/mutations.js';

jest.setTimeout(3_600_000);

const total = Number(process.env['COMPACT_FUZZ_INPUTS'] ?? 2000);
const seed = Number(process.env['COMPACT_FUZZ_SEED'] ?? 1);

/** A public function, with arguments that are right. */
interface Entry {
  readonly name: string;
  readonly call: (...args: never[]) => unknown;
  readonly args: () => unknown[];
  /** Paths at which other values are right, too. */
  readonly alternatives?: RegExp;
  /** How many of all calls: what is slow has few. */
  readonly share: number;
}

const never = /^$/;
const config = {
  vocabSize: 257,
  hiddenSize: 16,
  intermediateSize: 24,
  numHiddenLayers: 1,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
  maxPositionEmbeddings: 64,
  rmsNormEps: 1e-6,
  ropeTheta: 10000.5,
  tieWordEmbeddings: false,
  initializerRange: 0.02,
};
const adapter = { r: 8, loraAlpha: 16.5, targetModules: ['query', 'down'], useRslora: false };
/** A word or a list. */
const targets = /^0\.targetModules$/;
const adam = {
  betas: [0.9, 0.95],
  epsilon: 1e-6,
  weightDecay: 0.1,
  stateFormat: 'f32',
  stochasticRounding: true,
  seed: 3,
};
const compactOptions = {
  ...adam,
  rankRatio: 0.25,
  overrides: { down: { rank: 8 }, up: { rankRatio: 0.5 } },
  refreshInterval: 10,
  updateScale: 0.25,
  outputProjection: 'lazy',
  outputUpdateScale: 0.5,
  distribution: 'gaussian',
  sharing: 'input',
  store: 'lazy',
  momentsAtRefresh: 'transfer',
  targetModules: ['query', 'down'],
};
const engineOptions = {
  device: 'cpu',
  threads: 1,
  instructionSet: 'auto',
  blas: 'own',
  graphs: 'off',
  memoryLimitBytes: 2 ** 30,
};
const plain = {
  batchSize: 2,
  sequenceLength: 8,
  gradientAccumulationSteps: 2,
  maxSteps: 4,
  learningRate: 0.01,
  embeddingLearningRate: 0.02,
  headLearningRate: 0.02,
  normLearningRate: 0.03,
  lrSchedulerType: 'cosine',
  warmupRatio: 0.1,
  minLrRate: 0.1,
  maxGradNorm: 0.5,
  seed: 3,
  dtype: 'f32',
  gradientDtype: 'bf16',
  recompute: 'cheap',
  updatePlacement: 'end',
  lossChunkTokens: 8,
  evalSteps: 2,
  evalSequences: 2,
  loggingSteps: 5,
  ...engineOptions,
};
const compileOptions = () => ({
  model: llama(config),
  method: compact({ rank: 8 }),
  target: cpuTarget({ threads: 1 }),
  batchSize: 2,
  sequenceLength: 8,
  dtype: 'f32',
  gradientDtype: 'f32',
  recompute: 'cheap',
  updatePlacement: 'layer',
  accumulateGradients: true,
  maxGradNorm: 0.5,
  fuseSwiglu: true,
  lossChunkTokens: 16,
  entries: ['train', 'generate'],
  evaluateBatchSize: 2,
  seed: 1,
  accounting: 'ours',
});
/** Functions of a caller's own may be others, and objects of functions may have more of them. */
/** Clocks, entries and variants have names of the method's own. */
const ownFunctions =
  /\.(model|method|target)(\.added|\.clocks(\.\w+(\.entries(\.\w+)?)?)?(\.added|\.misspelt)|\.variants(\.\w+)?(\.added|\.misspelt)|\.preparedOps.*)$/;
const planParts = /attributes|flops|inputs|\.added$|^0\.entries\.\w+(\.misspelt)?$|\.kind$|\.version$/;

let folder: string;
let before: string;
let plan: Plan;
let engine: Engine;
let loadingEngine: Engine;
let trainer: Trainer;
let sampler: Sampler;
let checkpoint: string;
/** The same with adapters. */
let adapted: string;
let header: object;
let numExports = 0;

const dataOptions = () => ({
  train: join(folder, 'text.txt'),
  validationFraction: 0.25,
  tokenizer: 'bytes',
  textField: 'text',
  splitSpecialTokens: true,
});
const recipe = () => ({
  model: { ...config },
  method: { name: 'compact', ...compactOptions },
  data: dataOptions(),
  ...plain,
});
const runArguments = () => [
  'generate',
  {
    scalars: { step: 3 },
    inputs: { tokens: new Int32Array(1), positions: new Int32Array(1) },
    signal: new AbortController().signal,
    checkFinite: false,
    profile: true,
  },
];
const opened = async <T extends AsyncDisposable>(opening: Promise<T>) => {
  await using _ = await opening;
};

/** Undefined for what no JSON can hold. */
function asJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

function writeHeader(text: string): string {
  const path = join(folder, 'mutated.safetensors');
  const json = Buffer.from(text);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([start, json, Buffer.alloc(24)]));
  return path;
}

async function readTensors(given: unknown): Promise<void> {
  const text = asJson(given);
  if (text === undefined) return;
  await using file = await SafetensorsFile.open(writeHeader(text));
  for (const name of file.tensors.keys()) await file.read(name);
}

async function readMutatedState(given: unknown): Promise<void> {
  const text = asJson(given);
  if (text === undefined) return;
  writeFileSync(join(folder, 'trainer.json'), text);
  const { model, method } = await readState(folder);
  modelFromDescription(model);
  methodFromDescription(method);
}

const entries: readonly Entry[] = [
  { name: 'dense', call: dense, args: () => [adam], share: 6 },
  { name: 'lora', call: lora, args: () => [{ ...adapter, ...adam }], share: 3, alternatives: targets },
  { name: 'loraFa', call: loraFa, args: () => [{ ...adapter, ...adam }], share: 2, alternatives: targets },
  {
    name: 'relora',
    call: relora,
    args: () => [{ ...adapter, resetInterval: 9, restartWarmupSteps: 2 }],
    share: 3,
    alternatives: targets,
  },
  { name: 'mesa', call: mesa, args: () => [{ savedGroupSize: 64, ...adam }], share: 3 },
  { name: 'compact', call: compact, args: () => [compactOptions], share: 10, alternatives: /^0\.overrides$/ },
  {
    name: 'llama',
    call: llama,
    args: () => [config],
    share: 8,
    alternatives: /^0$/,
  },
  {
    name: 'llama of a preset',
    call: llama,
    args: () => ['llama-demo', { hiddenSize: 96 }],
    share: 2,
    alternatives: /^0$/,
  },
  {
    name: 'modelFromDescription',
    call: modelFromDescription,
    args: () => [{ architecture: 'llama', ...config }],
    share: 4,
  },
  {
    name: 'modelFromPretrainedConfig',
    call: modelFromPretrainedConfig,
    args: () => [llama(config).pretrainedConfig('f32'), { hiddenSize: 96 }],
    share: 3,
    alternatives: /./, // null is left out, and what says nothing of the mathematics may be anything
  },
  { name: 'loadModel', call: loadModel, args: () => ['llama-demo', { hiddenSize: 96 }], share: 1 },
  {
    name: 'methodFromDescription',
    call: methodFromDescription,
    args: () => [{ name: 'compact', ...compactOptions }],
    share: 4,
  },
  {
    name: 'learningRateSchedule',
    alternatives: /^1$/,
    call: (options: never, step: never) => learningRateSchedule(options)(step),
    args: () => [
      {
        type: 'warmup_stable_decay',
        learningRate: 0.5,
        maxSteps: 9,
        warmupSteps: 2,
        minLr: 0.1,
        decaySteps: 3,
      },
      3,
    ],
    share: 5,
  },
  { name: 'cpuTarget', call: cpuTarget, args: () => [{ threads: 2 }], share: 2 },
  { name: 'cudaTarget', call: cudaTarget, args: () => ['cuda'], share: 1 },
  { name: 'deviceTarget', call: deviceTarget, args: () => ['cpu', { threads: 2 }], share: 2 },
  { name: 'findDevice', call: findDevice, args: () => ['cpu'], share: 1 },
  { name: 'environment', call: environment, args: () => [{ probe: false }], share: 0.05 },
  { name: 'cudaReport', call: cudaReport, args: () => [{ kind: 'cuda', probe: false }], share: 0.5 },
  {
    name: 'compile',
    call: compile,
    args: () => [compileOptions()],
    share: 5,
    alternatives: ownFunctions,
  },
  {
    name: 'largestBatch',
    call: largestBatch,
    args: () => [{ ...compileOptions(), entries: ['train'] }, 2 ** 22],
    share: 0.3,
    alternatives: new RegExp(`${ownFunctions.source}|^1$`),
  },
  {
    name: 'remedies',
    call: remedies,
    args: () => [{ ...compileOptions(), entries: ['train'] }, 2 ** 20],
    share: 0.2,
    alternatives: new RegExp(`${ownFunctions.source}|^1$`),
  },
  { name: 'memoryReport', call: memoryReport, args: () => [plan], share: 6, alternatives: planParts },
  {
    name: 'optionsFromRecipe',
    call: optionsFromRecipe,
    args: () => [recipe()],
    share: 10,
    alternatives: /^0\.(model|method|data|data\.train|memoryLimitBytes|evalSteps|saveSteps)$/,
  },
  {
    name: 'a recipe with --set',
    call: (key: never, value: never) => {
      const file = parseRecipe(stringify(recipe()), 'recipe.yaml');
      setRecipeValue(file.values, `${asJson(key)}=${asJson(value)}`.replaceAll('"', ''));
      return trainerOptions(file);
    },
    args: () => ['maxSteps', '3'],
    alternatives: /./,
    share: 0.5,
  },
  {
    name: 'Trainer.create',
    call: (options: never) => opened(Trainer.create(options)),
    args: () => [
      {
        ...plain,
        model: llama(config),
        method: compact({ rank: 8 }),
        data: dataOptions(),
        saveSteps: 0,
        saveTotalLimit: 1,
        signal: new AbortController().signal,
        onTokenize: () => undefined,
      },
    ],
    alternatives: new RegExp(
      `${ownFunctions.source}|^0\\.(data\\.train|memoryLimitBytes|evalSteps|saveSteps|signal\\.\\w+)$`,
    ),
    share: 1.5,
  },
  {
    name: 'Trainer.sample',
    call: (options: never) => trainer.sample(options),
    args: () => [
      {
        prompt: 'a',
        maxNewTokens: 1,
        temperature: 0.5,
        topK: 2,
        topP: 0.5,
        seed: 1,
        onText: () => undefined,
      },
    ],
    share: 2,
    alternatives: /^0\.maxNewTokens$/,
  },
  {
    name: 'Trainer.evaluate',
    call: () => trainer.evaluate(),
    args: () => [{}],
    share: 0.1,
    alternatives: /./,
  },
  { name: 'Trainer.save', call: () => trainer.save(), args: () => [{}], share: 0.1, alternatives: /./ },
  {
    name: 'Sampler.open',
    call: (options: never) => opened(Sampler.open(options)),
    args: () => [{ ...engineOptions, checkpoint, tokenizer: 'bytes', contextLength: 6, batchSize: 2 }],
    alternatives: /^0\.(memoryLimitBytes|tokenizer|contextLength|batchSize)$/,
    share: 1,
  },
  {
    name: 'Sampler.sample',
    call: (options: never) => sampler.sample(options),
    args: () => [
      { prompt: 'a', maxNewTokens: 1, temperature: 0.5, topK: 2, topP: 0.5, seed: 1, stop: ['b'] },
    ],
    share: 2,
    alternatives: /^0\.maxNewTokens$/,
  },
  {
    name: 'Sampler.sampleBatch',
    call: (...args) => sampler.sampleBatch(...(args as unknown as Parameters<Sampler['sampleBatch']>)),
    args: () => [['a', 'bc'], { maxNewTokens: 1, temperature: 0.5, seed: 1 }],
    share: 1,
    alternatives: /^1\.maxNewTokens$/,
  },
  {
    name: 'Sampler.stream',
    call: async (options: never) => {
      for await (const piece of sampler.stream(options)) if (piece === '') throw new Error('an empty piece');
    },
    args: () => [{ prompt: 'a', maxNewTokens: 1, stop: ['b'] }],
    share: 1,
    alternatives: /^0\.maxNewTokens$/,
  },
  {
    name: 'Sampler.countPromptTokens',
    call: (options: never) => sampler.countPromptTokens(options),
    args: () => [{ prompt: 'a', splitSpecialTokens: false }],
    share: 0.5,
  },
  {
    name: 'Engine.open',
    call: (options: never) => opened(Engine.open(options)),
    args: () => [engineOptions],
    alternatives: /^0\.memoryLimitBytes$/,
    share: 2,
  },
  {
    name: 'Engine.load',
    call: (given: never) => loadingEngine.load(given),
    args: () => [plan],
    share: 4,
    alternatives: planParts,
  },
  {
    name: 'Engine.write',
    call: (...args) => engine.write(...(args as unknown as Parameters<Engine['write']>)),
    args: () => ['model.norm.weight', new Float32Array(8), 16],
    share: 5,
  },
  {
    name: 'Engine.writeRows',
    call: (...args) => engine.writeRows(...(args as unknown as Parameters<Engine['writeRows']>)),
    args: () => [
      'model.norm.weight',
      new Uint8Array(new SharedArrayBuffer(16)),
      { dtype: 'f32', stride: 1, firstRow: 4 },
    ],
    share: 3,
  },
  {
    name: 'Engine.read',
    call: (...args) => engine.read(...(args as unknown as Parameters<Engine['read']>)),
    args: () => ['model.norm.weight', { byteOffset: 16, byteLength: 32 }],
    share: 5,
  },
  {
    name: 'Engine.run',
    call: (...args) => engine.run(...(args as unknown as Parameters<Engine['run']>)),
    args: runArguments,
    share: 8,
    alternatives: /^1\.(scalars\.step|signal\.\w+)$/,
  },
  { name: 'encodePlan', call: encodePlan, args: () => [plan], share: 1, alternatives: planParts },
  {
    name: 'Dataset.prepare',
    call: Dataset.prepare,
    args: () => [dataOptions(), { sequenceLength: 8, vocabularySize: 257, seed: 1, sequencesPerStep: 2 }],
    share: 1,
    alternatives: /^0\.train$/,
  },
  { name: 'loadTokenizer', call: loadTokenizer, args: () => ['bytes'], share: 0.5 },
  {
    name: 'StepClock',
    call: (completedSteps: never, states: never) =>
      new StepClock(compact({ refreshInterval: 3, momentsAtRefresh: 'reset' })).restore(
        completedSteps,
        states,
      ),
    args: () => [4, { projection: { stepsSinceRefresh: 1, firstMomentSteps: 1, epoch: 1 } }],
    share: 1,
    alternatives: /\.added$/,
  },
  {
    name: 'evaluateModel',
    call: evaluateModel,
    args: () => [
      {
        ...engineOptions,
        model: checkpoint,
        data: join(folder, 'text.txt'),
        evalSequences: 2,
        sequenceLength: 8,
      },
    ],
    share: 0.5,
    alternatives: /^0\.(memoryLimitBytes|data)$/,
  },
  {
    name: 'fineTuneFromRecipe',
    call: fineTuneFromRecipe,
    args: () => [
      {
        ...{ model: 'base', data: 'pairs.jsonl', outputDirectory: 'fine-tuned', learningRate: 0.01 },
        method: { name: 'compact', rank: 4, refreshInterval: 7 },
        ...{ batchSize: 2, memoryLimitBytes: '1GiB', loggingSteps: 3, evalSteps: 0.5 },
      },
    ],
    alternatives: /^0\.(memoryLimitBytes|data|method)$/,
    share: 1,
  },
  {
    name: 'fineTuneOptions',
    call: fineTuneOptions,
    args: () => [
      {
        ...engineOptions,
        model: checkpoint,
        data: { records: join(folder, 'pairs.jsonl'), packing: false },
        outputDirectory: join(folder, 'fine-tuned'),
        learningRate: 0.01,
      },
    ],
    share: 0.5,
    alternatives: /^0\.(memoryLimitBytes|data|data\.records)$/,
  },
  {
    name: 'exportModel',
    call: exportModel,
    args: () => [
      { checkpoint, folder: join(folder, `exported-${numExports++}`), dtype: 'f16', maxShardBytes: '1MiB' },
    ],
    alternatives: /./,
    share: 0.1,
  },
  {
    name: 'exportAdapters',
    call: exportAdapters,
    args: () => [
      {
        checkpoint: adapted,
        folder: join(folder, `exported-${numExports++}`),
        baseModelName: 'someone/model',
      },
    ],
    alternatives: /./,
    share: 0.1,
  },
  {
    name: 'exportGguf',
    call: exportGguf,
    args: () => [{ checkpoint, file: join(folder, `exported-${numExports++}`), dtype: 'f16' }],
    alternatives: /./,
    share: 0.1,
  },
  { name: 'listCheckpoints', call: listCheckpoints, args: () => [folder], share: 1 },
  { name: 'trainer.json', call: readMutatedState, args: () => [stateOfRun()], share: 3, alternatives: /./ },
  { name: 'a safetensors header', call: readTensors, args: () => [header], share: 3, alternatives: /./ },
];
const shares = entries.reduce((sum, { share }) => sum + share, 0);
const counts = new Map<string, { calls: number; refused: number; slowestMs: number }>();

const stateOfRun = () => ({
  formatVersion: 2,
  step: 2,
  numSequencesSeen: 4,
  numTokensSeen: 64,
  model: { architecture: 'llama', ...config },
  method: { name: 'compact', ...compactOptions },
  training: {
    batchSize: 2,
    gradientAccumulationSteps: 1,
    sequenceLength: 8,
    maxSteps: 4,
    learningRate: 0.01,
    lrSchedulerType: 'linear',
    maxGradNorm: 0.5,
    dtype: 'f32',
    seed: 1,
  },
  data: { fingerprint: 'x', tokenizer: 'bytes' },
  clocks: { projection: { stepsSinceRefresh: 2, firstMomentSteps: 2, epoch: 0 } },
  best: { step: 1, metric: 'loss', value: 2.5 },
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compact-hostile-'));
  before = process.cwd();
  process.chdir(folder); // a path of one letter is a path
  writeFileSync(join(folder, 'text.txt'), 'what is wrong is said. '.repeat(40));
  writeFileSync(join(folder, 'pairs.jsonl'), '{"prompt": "a", "completion": "b"}\n'.repeat(4));
  plan = compile({ ...compileOptions(), entries: ['generate', 'initialize'] } as never);
  engine = await Engine.open({ device: 'cpu', threads: 1 });
  await engine.load(plan);
  loadingEngine = await Engine.open({ device: 'cpu', threads: 1, memoryLimitBytes: '64MiB' });
  header = {
    __metadata__: { format: 'pt' },
    a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
    b: { dtype: 'U8', shape: [8], data_offsets: [16, 24] },
  };
  const run = {
    ...{ model: llama(config), data: dataOptions(), batchSize: 2, sequenceLength: 8, maxSteps: 1 },
    ...{ learningRate: 0.01, device: 'cpu', threads: 1 },
  } as const;
  trainer = await Trainer.create({ ...run, method: dense(), outputDirectory: join(folder, 'run') });
  checkpoint = (await trainer.run()).checkpoint!.path;
  await using tuning = await Trainer.create({
    ...run,
    method: lora({ r: 2 }),
    outputDirectory: join(folder, 'tuned'),
  });
  adapted = (await tuning.save()).path;
  sampler = await Sampler.open({ checkpoint, device: 'cpu', threads: 1 });
});

afterAll(async () => {
  await sampler?.close();
  await trainer?.close();
  await Promise.all([engine?.close(), loadingEngine?.close()]);
  process.chdir(before);
  rmSync(folder, { recursive: true, force: true });
  if (process.env['COMPACT_FUZZ_INPUTS'] !== undefined) console.table(Object.fromEntries(counts));
});

/** What came of a call: undefined when it did its work. */
async function outcome(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error ?? 'something empty was thrown';
  }
}

describe('one wrong thing in the arguments of', () => {
  test.each(entries.map((entry) => [entry.name, entry] as const))('%s', async (name, entry) => {
    const untouched = await outcome(() => entry.call(...(copyOf(entry.args()) as never[])));
    if (!isCompactError(untouched, 'ERR_COMPACT_DEVICE_UNAVAILABLE')) expect(untouched).toBeUndefined();
    const numRuns = Math.max(5, Math.round((total * entry.share) / shares));
    const count = { calls: 0, refused: 0, slowestMs: 0 };
    await fc.assert(
      fc.asyncProperty(mutations, async (mutation) => {
        const args = copyOf(entry.args());
        const mutated = mutate(args, mutation, entry.alternatives ?? never);
        const start = performance.now();
        const error = await outcome(() => entry.call(...(args as never[])));
        count.calls++;
        count.slowestMs = Math.max(count.slowestMs, Math.round(performance.now() - start));
        if (error === undefined && !mutated.mustBeRefused) return;
        if (error !== undefined) count.refused++;
        if (isCompactError(error) && error.message.length > 0) return;
        if (mutated.isOwnFunction === true) return;
        const { path, what } = mutated;
        const stack = error instanceof Error ? error.stack : String(error);
        throw new Error(`${path} ${what}: ${error === undefined ? 'accepted' : `untyped: ${stack}`}`);
      }),
      { numRuns, seed },
    );
    counts.set(name, count);
  });
});

/** What longer runs of the tests above have found. */
describe('also refused:', () => {
  const thrower = (name: string): object =>
    Object.defineProperty({}, name, {
      enumerable: true,
      get: () => {
        throw new Error('a getter of the caller');
      },
    });
  const pretrained = llama(config).pretrainedConfig('f32');
  const sizes = { batchSize: 1, sequenceLength: 8, dtype: 'f32', target: cpuTarget() } as const;
  test.each<[string, () => unknown, string]>([
    [
      'a getter of a part of a configuration',
      () => modelFromPretrainedConfig({ ...pretrained, rope_parameters: thrower('rope_type') }),
      'ERR_COMPACT_TYPE',
    ],
    [
      'a rule of a method by another name',
      () =>
        compile({
          model: llama(config),
          method: { ...dense(), rewriteForwards: () => {} } as never,
          ...sizes,
        }),
      'ERR_COMPACT_CONFIG_VALUE',
    ],
    [
      'a part of a model by another name',
      () => compile({ model: { ...llama(config), packedFieldss: [] } as never, method: dense(), ...sizes }),
      'ERR_COMPACT_CONFIG_VALUE',
    ],
    [
      'a prefix of a model that is no text',
      () => compile({ model: { ...llama(config), bodyPrefix: null } as never, method: dense(), ...sizes }),
      'ERR_COMPACT_CONFIG_VALUE',
    ],
    [
      'variants of a method that are a date',
      () =>
        compile({ model: llama(config), method: { ...dense(), variants: new Date() } as never, ...sizes }),
      'ERR_COMPACT_CONFIG_VALUE',
    ],
    [
      'a path that no system has',
      () => evaluateModel({ model: checkpoint, data: 'x'.repeat(5000) }),
      'ERR_COMPACT_DATA_READ',
    ],
    [
      'a getter of the data to evaluate on',
      () => evaluateModel({ model: checkpoint, data: thrower('train') as never }),
      'ERR_COMPACT_TYPE',
    ],
    [
      'data that cannot be looked at',
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return evaluateModel({ model: checkpoint, data: proxy as never });
      },
      'ERR_COMPACT_TYPE',
    ],
    [
      'a getter of the data to fine-tune on',
      () =>
        fineTuneOptions({ model: checkpoint, data: thrower('records') as never, outputDirectory: 'output' }),
      'ERR_COMPACT_TYPE',
    ],
  ])('%s', async (_, call, code) => {
    expect(await outcome(call)).toMatchObject({ code });
  });
});

test('letters of a recipe changed at random', () => {
  const text = () => stringify(recipe());
  const edit = fc.record({ at: fc.nat(2000), length: fc.nat(3), insert: fc.string({ maxLength: 3 }) });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      const changed = edits.reduce(
        (all, { at, length, insert }) => all.slice(0, at) + insert + all.slice(at + length),
        text(),
      );
      try {
        trainerOptions(parseRecipe(changed, 'recipe.yaml'));
      } catch (error) {
        if (!isCompactError(error)) throw error;
      }
    }),
    { numRuns: Math.round(total / 50), seed },
  );
});
