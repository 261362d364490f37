import { type Numbers, type Round, type Tensor, tensor } from './tensor.js';

const roundHalfToEven = (x: number): number => {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
};

/** Codes of groups of consecutive elements, and one fp32 scale each: scale = max |x| / largest, and codes those of x / scale. */
function codesOf(
  { x }: { x: Tensor },
  { groupSize }: Numbers,
  largest: number,
  codeOf: (share: number) => number,
) {
  const size = x.data.length;
  const codes = tensor(x.shape);
  const scales = tensor([Math.ceil(size / groupSize!)]);
  for (let group = 0; group < scales.data.length; group++) {
    const start = group * groupSize!;
    const values = x.data.subarray(start, Math.min(size, start + groupSize!));
    const scale = Math.fround(values.reduce((max, value) => Math.max(max, Math.abs(value)), 0) / largest);
    scales.data[group] = scale;
    values.forEach((value, i) => {
      codes.data[start + i] = scale === 0 ? 0 : codeOf(Math.fround(value / scale));
    });
  }
  return { codes, scales };
}

function numbersOf(
  { codes, scales }: { codes: Tensor; scales: Tensor },
  { groupSize }: Numbers,
  numberOf: (code: number) => number,
): { y: Tensor } {
  const y = tensor(codes.shape, codes.data);
  return {
    y: { ...y, data: y.data.map((code, i) => numberOf(code) * scales.data[Math.floor(i / groupSize!)]!) },
  };
}

type Coded = Parameters<typeof numbersOf>[0];

/** Groups of int8: the integer nearest to the share of 127. */
export const quantize = (inputs: { x: Tensor }, numbers: Numbers) =>
  codesOf(inputs, numbers, 127, roundHalfToEven);
export const dequantize = (inputs: Coded, numbers: Numbers) => numbersOf(inputs, numbers, (code) => code);

/** The numbers of codes 0 to 126 of E4M3 (OCP, 2023, table 1): bias 7, three bits of mantissa; 127 is NaN. */
const e4m3Levels = Array.from({ length: 127 }, (_, code) => {
  const [exponent, mantissa] = [code >> 3, (code & 7) / 8];
  return exponent === 0 ? mantissa * 2 ** -6 : (1 + mantissa) * 2 ** (exponent - 7);
});

/** The code whose number is closest to x, the even one of two that are as close. */
function nearestE4m3(x: number): number {
  const distance = (code: number) => Math.abs(Math.abs(x) - e4m3Levels[code]!);
  let nearest = 0;
  for (let code = 1; code < e4m3Levels.length; code++) {
    const difference = distance(code) - distance(nearest);
    if (difference < 0 || (difference === 0 && code % 2 === 0)) nearest = code;
  }
  return x < 0 || Object.is(x, -0) ? nearest + 128 : nearest;
}

/** Groups of eight-bit floats: the E4M3 nearest to the share of 448. */
export const quantizeFp8 = (inputs: { x: Tensor }, numbers: Numbers) =>
  codesOf(inputs, numbers, 448, nearestE4m3);
export const dequantizeFp8 = (inputs: Coded, numbers: Numbers) =>
  numbersOf(inputs, numbers, (code) => (code < 128 ? e4m3Levels[code]! : -e4m3Levels[code - 128]!));

/** QLoRA, appendix E: quantiles of the normal distribution, scaled to [-1, 1], as the authors publish them. */
const nf4Levels = [
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
  -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
];
const nf4Block = 64;
const nf4Span = 256 * nf4Block;

/** The level closest to x, the lower one of two that are as close. */
function nearestLevel(x: number): number {
  let nearest = 0;
  for (const [code, level] of nf4Levels.entries())
    if (Math.abs(x - level) < Math.abs(x - nf4Levels[nearest]!)) nearest = code;
  return nearest;
}

/** Rows of an odd number of columns end in one more, a zero. */
function padded({ shape, data }: Tensor): Tensor {
  const [rows, columns] = shape as [number, number];
  const result = tensor([rows, columns + (columns % 2)]);
  data.forEach(
    (value, i) => (result.data[Math.floor(i / columns) * result.shape[1]! + (i % columns)] = value),
  );
  return result;
}

/** Blocks of 64 as codes of levels times the largest magnitude; 256 magnitudes as bytes between their extremes. */
export function quantizeNf4(input: { x: Tensor }) {
  const x = padded(input.x);
  const [rows, columns] = x.shape as [number, number];
  const size = x.data.length;
  const codes = tensor([rows, columns / 2]);
  const spans = Math.ceil(size / nf4Span);
  const magnitudes = tensor([spans, 256]);
  const ranges = tensor([spans, 2]);
  for (let span = 0; span < spans; span++) {
    const ofBlocks: number[] = [];
    for (let start = span * nf4Span; start < Math.min(size, (span + 1) * nf4Span); start += nf4Block) {
      const values = x.data.subarray(start, Math.min(size, start + nf4Block));
      const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      values.forEach((value, i) => {
        const code = largest === 0 ? nf4Levels.indexOf(0) : nearestLevel(Math.fround(value / largest));
        codes.data[(start + i) >> 1]! += i % 2 === 0 ? code : 16 * code;
      });
      ofBlocks.push(largest);
    }
    const smallest = Math.min(...ofBlocks);
    const step = Math.fround(Math.fround(Math.max(...ofBlocks) - smallest) / 255);
    ranges.data.set([smallest, step], 2 * span);
    ofBlocks.forEach((magnitude, i) => {
      const steps = Math.fround(Math.fround(magnitude - smallest) / step);
      magnitudes.data[256 * span + i] = step === 0 ? 0 : roundHalfToEven(steps);
    });
  }
  return { codes, magnitudes, ranges };
}

export function dequantizeNf4(
  { codes, magnitudes, ranges }: { codes: Tensor; magnitudes: Tensor; ranges: Tensor },
  { columns }: Numbers,
  round: Round,
): { y: Tensor } {
  const [rows, halfColumns] = codes.shape as [number, number];
  const y = tensor([rows, columns!]);
  y.data.forEach((_, place) => {
    const i = Math.floor(place / columns!) * 2 * halfColumns + (place % columns!);
    const code = (codes.data[i >> 1]! >> (i % 2 === 0 ? 0 : 4)) & 15;
    const span = Math.floor(i / nf4Span);
    const steps = round(magnitudes.data[Math.floor(i / nf4Block)]! * ranges.data[2 * span + 1]!);
    y.data[place] = round(Math.fround(nf4Levels[code]!) * round(ranges.data[2 * span]! + steps));
  });
  return { y };
}
