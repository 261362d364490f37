/** Numbers of files and engines by arithmetic on doubles, apart from the conversions of the package. */

export type NumberType = 'f64' | 'f32' | 'bf16' | 'f16';

const formats = {
  f64: { bytes: 8, fractionBits: 52, smallestExponent: -1022, limit: Infinity },
  f32: { bytes: 4, fractionBits: 23, smallestExponent: -126, limit: 2 ** 128 },
  bf16: { bytes: 2, fractionBits: 7, smallestExponent: -126, limit: 2 ** 128 },
  f16: { bytes: 2, fractionBits: 10, smallestExponent: -14, limit: 2 ** 16 },
} as const;

export const bytesOfNumber = (type: NumberType): number => formats[type].bytes;

function exponentOf(x: number): number {
  let exponent = Math.round(Math.log2(Math.abs(x)));
  while (2 ** exponent > Math.abs(x)) exponent--;
  while (2 ** (exponent + 1) <= Math.abs(x)) exponent++;
  return exponent;
}

/** The nearest number of a type, of two that are as near the even one; infinite beyond the largest. */
export function roundedTo(x: number, type: NumberType): number {
  if (type === 'f64' || x === 0 || !Number.isFinite(x)) return x;
  const { fractionBits, smallestExponent, limit } = formats[type];
  const step = 2 ** (Math.max(exponentOf(x), smallestExponent) - fractionBits);
  const steps = x / step; // exact
  const below = Math.floor(steps);
  const rest = steps - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  const result = (up ? below + 1 : below) * step;
  if (Math.abs(result) >= limit) return Math.sign(x) * Infinity;
  return result === 0 && x < 0 ? -0 : result;
}

/** Numbers that a type has, as they stand in memory. */
export function packed(numbers: readonly number[], type: NumberType): Uint8Array {
  const { bytes } = formats[type];
  const view = new DataView(new ArrayBuffer(numbers.length * bytes));
  numbers.forEach((x, i) => {
    if (type === 'f64') view.setFloat64(i * bytes, x, true);
    else if (type === 'f32') view.setFloat32(i * bytes, x, true);
    else view.setUint16(i * bytes, type === 'f16' ? f16Bits(x) : bf16Bits(x), true);
  });
  return new Uint8Array(view.buffer);
}

export function unpacked(memory: Uint8Array, type: NumberType): number[] {
  const { bytes } = formats[type];
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  return Array.from({ length: memory.byteLength / bytes }, (_, i) => {
    if (type === 'f64') return view.getFloat64(i * bytes, true);
    if (type === 'f32') return view.getFloat32(i * bytes, true);
    const bits = view.getUint16(i * bytes, true);
    return type === 'f16' ? ofF16(bits) : ofBf16(bits);
  });
}

const single = new DataView(new ArrayBuffer(4));

function bf16Bits(x: number): number {
  single.setFloat32(0, x);
  return single.getUint16(0);
}

function ofBf16(bits: number): number {
  single.setUint32(0, bits * 2 ** 16);
  return single.getFloat32(0);
}

function f16Bits(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  if (Number.isNaN(x)) return 0x7e00;
  const magnitude = Math.abs(x);
  if (magnitude === Infinity) return sign + 0x7c00;
  if (magnitude < 2 ** -14) return sign + magnitude * 2 ** 24;
  const exponent = exponentOf(magnitude);
  return sign + (exponent + 15) * 1024 + (magnitude / 2 ** exponent - 1) * 1024;
}

function ofF16(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = Math.floor(bits / 1024) % 32;
  const fraction = (bits % 1024) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}
