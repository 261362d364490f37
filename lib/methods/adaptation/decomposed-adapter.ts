// A weight with its low-rank adapter is decomposed into directions and magnitudes: y = m V / |V| x of V = W + s A B, column by
// column, where m (out) trains as A and B do (DoRA, Liu et al., ICML 2024, arXiv 2402.09353). Norms count as constants in
// backward (section 4.3 there). They change with A and B alone, so they are taken once after each step, and 1 / |V| stands beside
// the factors for all that reads the layer until the next one.
import {
  channelFactors,
  copy,
  fill,
  matmul,
  scaleChannels,
  scalePersistent,
  type Graph,
  type Value,
} from '../../graph/index.js';
import type { Adaptation } from './adaptation.js';
import type { AdapterOptions } from './adapter-options.js';
import { EveryStepClock } from './every-step-clock.js';
import {
  adapterOf,
  adapterScale,
  factorOf,
  inverseNormsName,
  isAdapted,
  lowRankAdapter,
  magnitudeName,
} from './low-rank-adapter.js';

/** Whether a parameter holds magnitudes, by its name, which is PEFT's. */
const isMagnitude = ({ name }: Value): boolean => name.endsWith('.lora_magnitude_vector');

/**
 * Adapters of the directions of frozen weights, with magnitudes that train.
 * @param name of the method, for errors
 */
export function decomposedAdapter(name: string, options: Required<AdapterOptions>): Adaptation {
  const isTrained = (parameter: Value): boolean =>
    factorOf(parameter) !== undefined || isMagnitude(parameter);

  /** W + s A B, in a place of its own. */
  function sumOf(weight: Value): Value {
    const { a, b } = adapterOf(weight.graph, weight, options);
    return matmul(a, b, { alpha: adapterScale(options), accumulator: copy(weight) });
  }

  function takeInverseNorms(weight: Value, sum: Value): void {
    const rows = weight.shape[0]!;
    scalePersistent(lengthRatios(onesOf(sum), sum), 1 / Math.sqrt(rows), inverseNormsOf(weight));
  }

  return {
    ...lowRankAdapter(name, options, isTrained, (weight, sum) => {
      const directed = scaleChannels(sum, inverseNormsOf(weight), 'column');
      return scaleChannels(directed, magnitudesOf(weight), 'column');
    }),
    needsNumbersBecause: 'it takes norms of their columns',

    /** Magnitudes are the norms that there are, so that training starts from the model as it is. */
    prepare(_graph, weight) {
      if (!isAdapted(weight, options)) return;
      const sum = sumOf(weight);
      const rows = weight.shape[0]!;
      scalePersistent(lengthRatios(sum, onesOf(sum)), Math.sqrt(rows), magnitudesOf(weight));
      takeInverseNorms(weight, sum);
    },

    clocks: {
      norms: {
        scalars: [],
        entries: {
          norms(_graph: Graph, weight: Value) {
            if (isAdapted(weight, options)) takeInverseNorms(weight, sumOf(weight));
          },
        },
        start: () => new EveryStepClock(['norms']),
      },
    },
  };
}

/** M (out), f32. */
const magnitudesOf = ({ graph, name, shape, parameter }: Value): Value =>
  graph.parameter(magnitudeName(name), [shape[1]!], 'f32', {
    role: 'linear',
    initializer: { type: 'constant', value: 1 },
    adapts: parameter!.role,
  });

/** 1 / |V| (out), f32: what evaluation reads as well, so it is kept as a parameter is. */
const inverseNormsOf = ({ graph, name, shape }: Value): Value =>
  graph.state(inverseNormsName(name), [shape[1]!], 'f32', 'parameter');

/** |a| / |b| of each column, f32 (columns). */
const lengthRatios = (a: Value, b: Value): Value =>
  channelFactors(a, b, a, {
    axis: 'column',
    previousNorm: fill(a.graph, { name: 'noStepBefore', shape: [1], dtype: 'f32', kind: 'workspace' }, 0),
    epsilon: 1e-30,
    growthLimit: 1,
  });

/** Columns of which each has the length of the root of the rows. */
const onesOf = ({ graph, shape }: Value): Value =>
  fill(graph, { name: 'ones', shape, dtype: 'bf16', kind: 'workspace' }, 1);
