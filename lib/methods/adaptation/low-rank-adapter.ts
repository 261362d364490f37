// A linear layer computes y = x W + s (x A) B with s = loraAlpha / r (Hu et al. 2021, arXiv 2106.09685). W (in, out) is
// frozen: no gradient, no state. A (in, r) and B (r, out) train. B starts as zero, so training starts from the model as it
// is. The second product is added into the result of x W, so an adapter needs s x A (tokens, r) and nothing else.
import { compactError } from '../../errors.js';
import {
  linearLayerOf,
  matmul,
  rewrite,
  type Graph,
  type Initializer,
  type Program,
  type Value,
} from '../../graph/index.js';
import type { Adaptation } from './adaptation.js';
import { adaptableRoles, type AdaptableRole, type AdapterOptions } from './adapter-options.js';

/** Which factor of an adapter a parameter is, by its name, which is PEFT's; undefined for those of the model. */
export const factorOf = ({ name }: Pick<Value, 'name'>): 'A' | 'B' | undefined =>
  /\.lora_([AB])\.weight$/.exec(name)?.[1] as 'A' | 'B' | undefined;

/** Multiplies an adapter. */
export const adapterScale = ({ r, loraAlpha, useRslora }: Required<AdapterOptions>): number =>
  loraAlpha / (useRslora ? Math.sqrt(r) : r);

/** Whether a parameter is the weight of a layer that has an adapter. */
export const isAdapted = (
  parameter: Value,
  { targetModules }: Pick<Required<AdapterOptions>, 'targetModules'>,
): boolean => {
  const role = parameter.parameter!.role as AdaptableRole;
  const roles = targetModules === 'all-linear' ? adaptableRoles : targetModules;
  return parameter.shape.length === 2 && roles.includes(role) && factorOf(parameter) === undefined;
};

/**
 * Adapters beside frozen weights.
 * @param name of the method, for errors
 * @param isTrained of parameters that are not adapted weights
 * @param outputOf what an adapted layer gives, of its weight and of x W + s (x A) B
 */
export function lowRankAdapter(
  name: string,
  options: Required<AdapterOptions>,
  isTrained: (parameter: Value) => boolean,
  outputOf = (_weight: Value, sum: Value): Value => sum,
): Adaptation {
  return {
    rewriteForward(forward) {
      checkTargets(name, options, forward);
      return rewrite(forward, (node) => {
        const layer = linearLayerOf(node);
        if (layer === undefined || !isAdapted(layer.weight, options)) return undefined;
        const { input, weight, output } = layer;
        const { a, b } = adapterOf(forward.graph, weight, options);
        const inner = matmul(input, a, { alpha: adapterScale(options), name: 'adapterInput' }); // (tokens, r)
        return [outputOf(weight, matmul(inner, b, { accumulator: output }))];
      });
    },
    isTrained: (parameter) => !isAdapted(parameter, options) && isTrained(parameter),
  };
}

/**
 * The two factors of a weight's adapter. PEFT draws A from uniform numbers (Kaiming, a = sqrt 5); these are normal numbers
 * of the same variance, 1 / (3 in_features).
 */
export function adapterOf(
  graph: Graph,
  weight: Value,
  { r }: Pick<Required<AdapterOptions>, 'r'>,
): Readonly<Record<'a' | 'b', Value>> {
  const [rows, columns] = weight.shape as [number, number];
  checkRank(weight, r);
  const { role: adapts, sharesInputWith } = weight.parameter!;
  const factor = (letter: 'A' | 'B', shape: readonly number[], initializer: Initializer, first?: string) =>
    graph.parameter(factorName(weight.name, letter), shape, weight.dtype, {
      role: 'linear',
      initializer,
      adapts,
      sharesInputWith: first,
    });
  const standardDeviation = 1 / Math.sqrt(3 * rows);
  const first = sharesInputWith && factorName(sharesInputWith, 'A');
  return {
    a: factor('A', [rows, r], { type: 'normal', standardDeviation }, first),
    b: factor('B', [r, columns], { type: 'constant', value: 0 }),
  };
}

const layerName = (weight: string): string => weight.replace(/\.weight$/, '');

/** The name of a factor by that of the weight which it adapts. */
export const factorName = (weight: string, letter: 'A' | 'B'): string =>
  `${layerName(weight)}.lora_${letter}.weight`;

/** The names of what a weight that is decomposed has beside its factors: its magnitudes, and 1 over the norms of its columns. */
export const magnitudeName = (weight: string): string => `${layerName(weight)}.lora_magnitude_vector`;
export const inverseNormsName = (weight: string): string => `${layerName(weight)}.lora_inverse_norms`;

function checkRank({ name, shape }: Value, r: number): void {
  const largest = Math.min(...shape);
  if (r <= largest) return;
  throw compactError('ERR_COMPACT_RANK', `the rank is over the width of ${name}`, {
    op: name,
    expected: `at most ${largest}, the smaller side of the layer`,
    received: String(r),
    remedy: 'Lower r, or leave the layer out of targetModules',
  });
}

/** Every target has to name a linear layer that the model has. */
function checkTargets(name: string, { targetModules }: Required<AdapterOptions>, { nodes }: Program): void {
  const weights = nodes.flatMap((node) => linearLayerOf(node)?.weight ?? []);
  const present = adaptableRoles.filter((role) => weights.some(({ parameter }) => parameter!.role === role));
  if (present.length === 0)
    throw compactError(
      'ERR_COMPACT_CONFIG_VALUE',
      `${name} has nothing to adapt in a model without linear layers`,
      {
        op: 'method',
        expected: 'a model with linear layers',
        received: name,
        remedy: "Train it with method 'dense' or 'compact'",
      },
    );
  const missing =
    targetModules === 'all-linear' ? undefined : targetModules.find((role) => !present.includes(role));
  if (missing === undefined) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `the model has no ${missing} that ${name} could adapt`, {
    op: 'targetModules',
    expected: `'all-linear' or some of ${present.join(', ')}`,
    received: missing,
  });
}
