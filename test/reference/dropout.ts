import { philox } from './philox.js';
import { mapElements, type Numbers, type Round, type Tensor } from './tensor.js';

/**
 * Keeps an element with probability 1 - probability, scaled by its inverse. Element e looks at word e mod 4 of Philox
 * (counter = (e / 4 low, e / 4 high, tensorId, step), key = (seedLow, seedHigh)), so no mask is stored.
 */
export function dropout(
  { x }: { x: Tensor },
  { probability, seedLow, seedHigh, tensorId, step }: Numbers,
  round: Round,
) {
  const inverse = round(1 / round(1 - probability!));
  return {
    y: mapElements(x, (value, e) => {
      const group = Math.floor(e / 4);
      const words = philox(
        [group % 2 ** 32, Math.floor(group / 2 ** 32), tensorId!, step!],
        [seedLow!, seedHigh!],
      );
      return words[e % 4]! >= probability! * 2 ** 32 ? round(value * inverse) : 0;
    }),
  };
}
