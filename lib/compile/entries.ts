import { Graph, type Value, fillPersistent, randomNormalPersistent } from '../graph/index.js';
import { applyUpdates, buildUpdate, persistentCopy } from './apply-method.js';
import { differentiate } from './differentiate.js';
import { buildForward } from './forward.js';
import { squareGradients } from './gradient-squares.js';
import type { CompileOptions } from './options.js';
import type { Program } from './program.js';

/** The entries of a plan, built but not yet ordered. All of them share persistent values by name. */
export function buildEntries(options: CompileOptions): Program[] {
  const { model, method, sequenceLength, dtype, fuseSwiglu, lossChunkTokens } = options;
  const { entries = ['initialize', 'train', 'evaluate', 'generate'], maxGradNorm = 0 } = options;
  const shared = { sequenceLength, dtype, fuseSwiglu, lossChunkTokens };
  const programs: Program[] = [];

  const training = buildForward('step', model, { ...shared, batchSize: options.batchSize, purpose: 'train' });
  const parameters = training.graph.parameters;
  if (entries.includes('initialize')) programs.push(buildInitialize(parameters, options.seed ?? 42));
  if (entries.includes('train')) {
    const window =
      options.accumulateGradients === true || maxGradNorm > 0 || options.updatePlacement === 'end';
    const gradientDtype = options.gradientDtype ?? 'f32';
    let differentiated = differentiate(training, { method, gradientDtype, window });
    if (maxGradNorm > 0) differentiated = squareGradients(differentiated);
    if (window)
      programs.push(
        { ...differentiated, name: 'accumulate' },
        buildUpdate(differentiated, method, maxGradNorm),
      );
    else programs.push(applyUpdates(differentiated, method));
    const refresh = buildRefresh(parameters, options);
    if (refresh.nodes.length > 0) programs.push(refresh);
  }
  if (entries.includes('evaluate')) {
    const batchSize = options.evaluateBatchSize ?? options.batchSize;
    programs.push(buildForward('evaluate', model, { ...shared, batchSize, purpose: 'evaluate' }));
  }
  if (entries.includes('generate'))
    programs.push(buildForward('generate', model, { ...shared, batchSize: 1, purpose: 'generate' }));
  return programs;
}

/** Fills every parameter from the seed; states start as the zeros that the engine gives. */
function buildInitialize(parameters: readonly Value[], seed: number): Program {
  const graph = new Graph();
  for (const parameter of parameters) {
    const target = persistentCopy(graph, parameter);
    const { initializer, tensorId } = parameter.parameter!;
    graph.at(parameter.layer, 'update', () => {
      if (initializer.type === 'constant') fillPersistent(target, initializer.value);
      else
        randomNormalPersistent(target, { seed, tensorId, standardDeviation: initializer.standardDeviation });
    });
  }
  return { name: 'initialize', graph, nodes: graph.nodes, outputs: new Map() };
}

/** What the method does to its states when its projections change; no nodes for most methods. */
function buildRefresh(parameters: readonly Value[], { method }: CompileOptions): Program {
  const graph = new Graph();
  for (const parameter of parameters) {
    const target = persistentCopy(graph, parameter);
    graph.at(parameter.layer, 'update', () => method.refresh?.build?.(graph, target));
  }
  return { name: 'refresh', graph, nodes: graph.nodes, outputs: new Map() };
}
