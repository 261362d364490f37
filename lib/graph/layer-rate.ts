import { roleRates, type RuntimeScalar } from './node.js';

/**
 * The rates of a layer, for runs whose layers learn at rates of their own. A model has the parts 'embedding' and 'layers.<n>',
 * from its input to its output; what lies above them, or has another name, learns at the rates of all.
 */

const separator = ':';
const rates: readonly RuntimeScalar[] = ['learningRate', ...roleRates];

/** The part that a layer's name lies in, e.g. 'layers.3' of 'layers.3.attention'; undefined above the layers. */
export const ratedPart = (layer: string): string | undefined =>
  /^(?:embedding|layers\.\d+)(?=\.|$)/.exec(layer)?.[0];

/** The name of a rate in a layer; other scalars, and rates above the layers, keep theirs. */
export function layerRate(name: RuntimeScalar, layer: string): RuntimeScalar {
  const part = ratedPart(layer);
  return part !== undefined && rates.includes(name) ? `${name}${separator}${part}` : name;
}

/** The rate, and the part that it is the rate of, if any. */
export function rateAndPart(name: RuntimeScalar): { readonly rate: RuntimeScalar; readonly part?: string } {
  const [rate = name, part] = name.split(separator);
  return part === undefined ? { rate } : { rate, part };
}
