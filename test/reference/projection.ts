/**
 * The random projection P of CompAct (https://arxiv.org/abs/2410.15352): a pure function of a key and an index.
 *
 * Phat[i][j] takes 16 random bits, half j mod 8 of Philox (counter = (j / 8, i, tensorId, epoch), key = (seedLow,
 * seedHigh)), through a piecewise cubic of the inverse normal distribution, in fp32 with fused multiply-adds, and is
 * rounded to bf16. P = Phat / sqrt(r).
 */
import { bitsOfFloat32, float32OfBf16, float32OfBits, bf16OfFloat32, fma32 } from './bf16.js';
import { half, philox } from './philox.js';
import { type Tensor, tensor } from './tensor.js';

export interface ProjectionKey {
  readonly seedLow: number;
  readonly seedHigh: number;
  readonly tensorId: number;
  readonly epoch: number;
  /** 0 Gaussian, 1 Rademacher, 2 identity. */
  readonly distribution?: number;
}

/** SHA-256 of Phat's little-endian bf16 values for the random bits 0 to 65,535: what every device must give. */
export const projectionSha256 = '2dc8d954e8bb25ef0d322ff158c66645c4dd8d324a83e738dbe7cbafca98094f';

/** Cubic coefficients by half octave of the two-sided tail fraction x, from 2^-16 to 1. */
const cubics = `
4.678115845e+00 -3.430419531e+04 8.888727040e+08 -1.033684858e+13
4.606512070e+00 -2.465186719e+04 4.531716480e+08 -3.753441231e+12
4.534281254e+00 -1.769837109e+04 2.289262240e+08 -1.330521965e+12
4.460578918e+00 -1.273087891e+04 1.168136480e+08 -4.835337830e+11
4.386169434e+00 -9.149336914e+03 5.906389600e+07 -1.715547341e+11
4.310180187e+00 -6.588590332e+03 3.016752800e+07 -6.240413696e+10
4.233390331e+00 -4.740586426e+03 1.526906400e+07 -2.216250982e+10
4.154897213e+00 -3.418058350e+03 7.807328000e+06 -8.070224384e+09
4.075494289e+00 -2.462639893e+03 3.956186250e+06 -2.869296128e+09
3.994244576e+00 -1.778173828e+03 2.025358125e+06 -1.046062208e+09
3.911956072e+00 -1.283121582e+03 1.027652375e+06 -3.723885760e+08
3.827653408e+00 -9.280419312e+02 5.268430625e+05 -1.359454720e+08
3.742158651e+00 -6.708814697e+02 2.677181562e+05 -4.846523200e+07
3.654452562e+00 -4.861814575e+02 1.374715469e+05 -1.772025800e+07
3.565370560e+00 -3.522114868e+02 6.997780469e+04 -6.327842000e+06
3.473841667e+00 -2.558409271e+02 3.600008594e+04 -2.317763500e+06
3.380713463e+00 -1.858170013e+02 1.836202539e+04 -8.292538125e+05
3.284855604e+00 -1.353553619e+02 9.466768555e+03 -3.043675312e+05
3.187123775e+00 -9.861485291e+01 4.839822754e+03 -1.091403359e+05
3.086317778e+00 -7.208324432e+01 2.501501221e+03 -4.015521875e+04
2.983297110e+00 -5.272019577e+01 1.282333130e+03 -1.443643262e+04
2.876777172e+00 -3.870348740e+01 6.647069702e+02 -5.326457520e+03
2.767615795e+00 -2.844567299e+01 3.417977905e+02 -1.920781128e+03
2.654425383e+00 -2.099907494e+01 1.777495270e+02 -7.110239258e+02
2.538053513e+00 -1.553188610e+01 9.170568848e+01 -2.573191528e+02
2.416988134e+00 -1.154994202e+01 4.784886169e+01 -9.562528992e+01
2.292059183e+00 -8.615644455e+00 2.476096725e+01 -3.476091766e+01
2.161615372e+00 -6.470665455e+00 1.294987392e+01 -1.299019146e+01
2.026518583e+00 -4.884251118e+00 6.709243298e+00 -4.765132904e+00
1.885248542e+00 -3.722721338e+00 3.511257887e+00 -1.817744732e+00
1.740848184e+00 -2.874100685e+00 1.840592384e+00 -7.158241868e-01
1.608997107e+00 -2.326944351e+00 1.080635071e+00 -3.626916409e-01`
  .trim()
  .split('\n')
  .map((row) => row.split(' ').map(Number).map(Math.fround) as [number, number, number, number]);

/** The fp32 normal value of 16 random bits: bit 15 is the sign, the other bits the position in the tail. */
export function normalOfBits(bits: number): number {
  const x = (2 * (bits & 0x7fff) + 1) / 65536; // exact in fp32
  const [a, b, c, d] = cubics[(bitsOfFloat32(x) >>> 22) - 222]!;
  const z = fma32(x, fma32(x, fma32(x, d, c), b), a);
  return float32OfBits((bitsOfFloat32(z) ^ ((bits & 0x8000) << 16)) >>> 0);
}

let table: Uint16Array | undefined;

/** The bf16 patterns of Phat for all 65,536 values of the random bits. */
export function projectionTable(): Uint16Array {
  table ??= Uint16Array.from({ length: 65536 }, (_, bits) => bf16OfFloat32(normalOfBits(bits)));
  return table;
}

/** Phat (rows, rank) as bf16 patterns, Gaussian. */
export function projectionPatterns(rows: number, rank: number, key: ProjectionKey): Uint16Array {
  const patterns = new Uint16Array(rows * rank);
  const table = projectionTable();
  forEachHalf(rows, rank, key, (element, bits) => (patterns[element] = table[bits]!));
  return patterns;
}

const known = new Map<string, Tensor>();

/** P (rows, rank) in double precision. The identity has ones on the diagonal, whatever the rank. */
export function projection(rows: number, rank: number, key: ProjectionKey): Tensor {
  const { seedLow, seedHigh, tensorId, epoch, distribution = 0 } = key;
  const name = [rows, rank, seedLow, seedHigh, tensorId, epoch, distribution].join();
  const result = known.get(name) ?? makeProjection(rows, rank, key);
  known.set(name, result);
  return result;
}

function makeProjection(rows: number, rank: number, key: ProjectionKey): Tensor {
  const result = tensor([rows, rank]);
  const scale = 1 / Math.sqrt(rank);
  if (key.distribution === 2) {
    for (let i = 0; i < Math.min(rows, rank); i++) result.data[i * rank + i] = 1;
  } else if (key.distribution === 1) {
    forEachHalf(rows, rank, key, (element, bits) => (result.data[element] = bits >= 0x8000 ? -scale : scale));
  } else {
    const patterns = projectionPatterns(rows, rank, key);
    patterns.forEach((pattern, element) => (result.data[element] = float32OfBf16(pattern) * scale));
  }
  return result;
}

function forEachHalf(
  rows: number,
  rank: number,
  { seedLow, seedHigh, tensorId, epoch }: ProjectionKey,
  visit: (element: number, bits: number) => void,
): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < rank; j += 8) {
      const words = philox([j / 8, i, tensorId, epoch], [seedLow, seedHigh]);
      for (let t = 0; t < Math.min(8, rank - j); t++) visit(i * rank + j + t, half(words, t));
    }
  }
}
