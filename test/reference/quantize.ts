import { type Numbers, type Tensor, tensor } from './tensor.js';

const roundHalfToEven = (x: number): number => {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
};

/** Groups of consecutive elements as int8 codes and one fp32 scale each: scale = max |x| / 127. */
export function quantize({ x }: { x: Tensor }, { groupSize }: Numbers) {
  const size = x.data.length;
  const codes = tensor([size]);
  const scales = tensor([Math.ceil(size / groupSize!)]);
  for (let group = 0; group < scales.data.length; group++) {
    const start = group * groupSize!;
    const values = x.data.subarray(start, Math.min(size, start + groupSize!));
    const scale = Math.fround(values.reduce((max, value) => Math.max(max, Math.abs(value)), 0) / 127);
    scales.data[group] = scale;
    values.forEach((value, i) => {
      codes.data[start + i] = scale === 0 ? 0 : roundHalfToEven(Math.fround(value / scale));
    });
  }
  return { codes, scales };
}

export function dequantize(
  { codes, scales }: { codes: Tensor; scales: Tensor },
  { groupSize }: Numbers,
): { y: Tensor } {
  const y = tensor(codes.shape, codes.data);
  return { y: { ...y, data: y.data.map((code, i) => code * scales.data[Math.floor(i / groupSize!)]!) } };
}
