import { compactError } from '../errors.js';
import {
  type BuildOptions,
  type CodedNumbers,
  Graph,
  type Initializer,
  type Program,
  type Value,
  fill,
  fillPersistent,
  parameterId,
  parametersOf,
  randomNormal,
  randomNormalPersistent,
} from '../graph/index.js';
import { formsOf, type Method } from '../methods/index.js';
import { applyUpdates, buildUpdate, persistentCopy } from './apply-method.js';
import { differentiate } from './differentiate.js';
import { type Forward, buildForward } from './forward.js';
import { cutsGradients, gradientsByRows } from './gradient-rows.js';
import { squareGradients } from './gradient-squares.js';
import type { CompileOptions } from './options.js';

/** Tokens of each prompt that one run of `prefill` reads at most: enough that products are worth their packing. */
const prefillTokens = 64;

/** The entries of a plan, built but not yet ordered. All of them share persistent values by name. */
export function buildEntries(options: CompileOptions): Program[] {
  const { model, method, sequenceLength, dtype, isPacked, fuseSwiglu, lossChunkTokens } = options;
  const { entries = ['initialize', 'train', 'evaluate', 'generate'] } = options;
  const shared = { sequenceLength, dtype, fuseSwiglu, lossChunkTokens };
  const losses = { ...shared, isPacked };
  const programs: Program[] = [];

  const training = () =>
    buildForward('step', model, { ...losses, batchSize: options.batchSize, purpose: 'train' }, method);
  const plain = training();
  const parameters = parametersOf(plain);
  const initialized = parameters.filter(isInitialized(options));
  if (entries.includes('initialize') && initialized.length > 0)
    programs.push(buildInitialize(initialized, options.seed ?? 42));
  if (entries.includes('train')) {
    for (const [name, form] of formsOf(method)) {
      if (name === '') programs.push(...buildStep('', plain, form, options));
      else programs.push(...buildVariant(name, training(), form, options));
    }
    programs.push(...buildBetweenSteps(parameters, options));
  }
  if (entries.includes('evaluate')) {
    const batchSize = options.evaluateBatchSize ?? options.batchSize;
    programs.push(buildForward('evaluate', model, { ...losses, batchSize, purpose: 'evaluate' }, method));
  }
  if (entries.includes('predict'))
    programs.push(buildForward('predict', model, { ...losses, batchSize: 1, purpose: 'predict' }, method));
  if (entries.includes('generate')) programs.push(...buildGeneration(options, shared));
  return programs;
}

/** Of models that are not causal what their head says of whole sequences; of others new tokens behind a cache. */
function buildGeneration(
  { model, method, generateBatchSize: batchSize = 1 }: CompileOptions,
  shared: Pick<BuildOptions, 'sequenceLength' | 'dtype'>,
): Program[] {
  const generating = (name: string, newTokens?: number) =>
    buildForward(name, model, { ...shared, batchSize, purpose: 'generate', newTokens }, method);
  if (model.isCausal !== true) return [generating('generate')];
  // Of a prompt only what it leaves in the cache is wanted; its last token is read by `generate`, for the logits.
  const prompt = generating('prefill', Math.min(prefillTokens, shared.sequenceLength));
  return [{ ...prompt, outputs: new Map() }, generating('generate', 1)];
}

/** Why gradients have to outlive backward. */
function reasonForWindow({ accumulateGradients, maxGradNorm = 0, updatePlacement }: CompileOptions) {
  if (accumulateGradients === true) return 'accumulation over micro-batches';
  if (maxGradNorm > 0) return `clipping by the norm of all gradients (maxGradNorm ${maxGradNorm})`;
  return updatePlacement === 'end' ? "updates at the end (updatePlacement 'end')" : undefined;
}

function refusedWindow({ name, updatesInBackward }: Method, reason: string): Error {
  const [what, otherwise] =
    updatesInBackward === true
      ? ['each weight', '']
      : ['rows of embedding and head (embeddingChunk)', ', or leave out embeddingChunk'];
  return compactError(
    'ERR_COMPACT_CONFIG_VALUE',
    `${name} updates ${what} as soon as their gradient is there`,
    {
      op: name,
      expected: 'nothing that needs all gradients at a time',
      received: reason,
      remedy: `Use one micro-batch a step and maxGradNorm 0${otherwise}: a norm of all gradients would need a second backward.`,
    },
  );
}

/** The entries of another form of the step; gradients that are those of the plain one are made by its entry. */
function buildVariant(name: string, forward: Forward, form: Method, options: CompileOptions): Program[] {
  const { weightGradient, isTrained } = options.method;
  const hasSameGradients = form.weightGradient === weightGradient && form.isTrained === isTrained;
  return buildStep(`:${name}`, forward, form, options).filter(
    (program) => !(hasSameGradients && program.name.startsWith('accumulate')),
  );
}

/** The entries of one form of the step: whole, or in two halves with gradients that live in between. */
function buildStep(suffix: string, forward: Forward, method: Method, options: CompileOptions): Program[] {
  const { maxGradNorm = 0, gradientDtype = 'f32' } = options;
  const reason = reasonForWindow(options);
  const usesUpGradients = method.updatesInBackward === true || cutsGradients(forward, method);
  if (reason !== undefined && usesUpGradients) throw refusedWindow(method, reason);
  const window = reason !== undefined;
  let differentiated = differentiate(forward, { method, gradientDtype, window });
  if (!window) {
    const cut = gradientsByRows(differentiated, method);
    return [{ ...applyUpdates(cut, method), name: `step${suffix}` }];
  }
  if (maxGradNorm > 0) differentiated = squareGradients(differentiated);
  return [
    { ...differentiated, name: `accumulate${suffix}` },
    buildUpdate(`update${suffix}`, differentiated, method, maxGradNorm),
  ];
}

/** Whether a parameter, or the numbers whose codes it holds, is not loaded from elsewhere. */
function isInitialized({ loadedParameters = [] }: CompileOptions): (parameter: Value) => boolean {
  const loaded = new Set(loadedParameters.map(parameterId));
  return ({ parameter }) => !loaded.has((parameter!.codesOf ?? parameter!).tensorId);
}

/** Fills parameters from the seed; states start as the zeros that the engine gives. */
function buildInitialize(parameters: readonly Value[], seed: number): Program {
  const graph = new Graph();
  for (const parameter of parameters) {
    const target = persistentCopy(graph, parameter);
    const { initializer, tensorId, codesOf } = parameter.parameter!;
    graph.at(parameter.layer, 'update', () => {
      if (codesOf !== undefined) codesOf.encode(initialNumbers(graph, codesOf, initializer, seed), target);
      else if (initializer.type === 'constant') fillPersistent(target, initializer.value);
      else
        randomNormalPersistent(target, { seed, tensorId, standardDeviation: initializer.standardDeviation });
    });
  }
  return { name: 'initialize', graph, nodes: graph.nodes, outputs: new Map() };
}

/** What codes are made of: the same numbers that a parameter without codes would start with. */
function initialNumbers(
  graph: Graph,
  { shape, dtype, tensorId }: CodedNumbers,
  initializer: Initializer,
  seed: number,
): Value {
  const output = { name: 'numbers', shape, dtype, kind: 'parameter' } as const;
  if (initializer.type === 'constant') return fill(graph, output, initializer.value);
  const { standardDeviation } = initializer;
  return randomNormal(graph, output, { seed, tensorId, standardDeviation });
}

/** What the method does before the first step and between steps, parameter by parameter; nothing for most methods. */
function buildBetweenSteps(parameters: readonly Value[], { method }: CompileOptions): Program[] {
  const { prepare } = method;
  const rules = Object.values(method.clocks ?? {}).flatMap(({ entries = {} }) => Object.entries(entries));
  return [...(prepare === undefined ? [] : [['prepare', prepare] as const]), ...rules].flatMap(
    ([name, build]) => {
      const graph = new Graph();
      for (const parameter of parameters) {
        const target = persistentCopy(graph, parameter);
        graph.at(parameter.layer, 'update', () => build(graph, target));
      }
      return graph.nodes.length === 0 ? [] : [{ name, graph, nodes: graph.nodes, outputs: new Map() }];
    },
  );
}
