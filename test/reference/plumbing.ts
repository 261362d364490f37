/** Copies, constants and seeded initial values. */
import { half, philox } from './philox.js';
import { normalOfBits } from './projection.js';
import { type Numbers, numElements, type Round, type Tensor, tensor } from './tensor.js';

export const copy = ({ x }: { x: Tensor }) => ({ y: tensor(x.shape, x.data) });

/** The values stay; the conversion is the rounding of the output's dtype. */
export const cast = copy;

export const fill = (_: object, { value, size }: Numbers, round: Round) => ({
  y: tensor(
    [size!],
    Array.from({ length: size! }, () => round(value!)),
  ),
});

/** The first row of each of `outputRows` equal parts of x. */
export const firstRows = ({ x }: { x: Tensor }, { outputRows: parts }: Numbers) => {
  const [n, h] = x.shape as [number, number];
  const data = Array.from({ length: parts! }, (_, part) => {
    const at = ((part * n) / parts!) * h;
    return [...x.data.subarray(at, at + h)];
  });
  return { y: tensor([parts!, h], data.flat()) };
};

export const firstRowsBackward = ({ dy }: { dy: Tensor }, { outputRows: n }: Numbers) => {
  const [parts, h] = dy.shape as [number, number];
  const dx = tensor([n!, h]);
  for (let part = 0; part < parts; part++)
    dx.data.set(dy.data.subarray(part * h, (part + 1) * h), ((part * n!) / parts) * h);
  return { dx };
};

export const selectRow = ({ x }: { x: Tensor }, { row }: Numbers) => {
  const h = x.shape[1]!;
  return { y: tensor([1, h], x.data.subarray(row! * h, (row! + 1) * h)) };
};

/**
 * standardDeviation z for element e from half e mod 8 of Philox (counter = (e / 8 low, e / 8 high, tensorId,
 * 0xffffffff), key = (seedLow, seedHigh)), z the fp32 normal value of the projection before it is rounded to bf16.
 */
export function randomNormal(
  _: object,
  { seedLow, seedHigh, tensorId, standardDeviation, size }: Numbers,
  round: Round,
) {
  const y = tensor([size!]);
  for (let e = 0; e < numElements(y.shape); e++) {
    const group = Math.floor(e / 8);
    const words = philox(
      [group % 2 ** 32, Math.floor(group / 2 ** 32), tensorId!, 0xffffffff],
      [seedLow!, seedHigh!],
    );
    y.data[e] = round(round(standardDeviation!) * normalOfBits(half(words, e % 8)));
  }
  return { y };
}
