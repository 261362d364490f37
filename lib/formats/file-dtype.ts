/** Bits of one element, by the name that a type has in headers of safetensors files. */
const elementBits = {
  F64: 64, F32: 32, F16: 16, BF16: 16,
  I64: 64, I32: 32, I16: 16, I8: 8,
  U64: 64, U32: 32, U16: 16, U8: 8, BOOL: 8,
  F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8,
  F6_E2M3: 6, F6_E3M2: 6, F4: 4, C64: 64,
} as const; // prettier-ignore

type FormatName = keyof typeof elementBits;

/** Types of elements that files can have: those of a plan under the same names, and others. */
export type FileDType = Lowercase<FormatName>;

/** Every name in headers of safetensors files. */
export const formatNames = Object.keys(elementBits) as readonly FormatName[];

const dtypes = new Map<string, FileDType>(
  formatNames.map((name) => [name, name.toLowerCase() as FileDType] as const),
);

/** The type that a header names; undefined for a name that the format does not have. */
export const dtypeOfFormat = (name: unknown): FileDType | undefined =>
  typeof name === 'string' ? dtypes.get(name) : undefined;

export const formatNameOf = (dtype: FileDType): FormatName => dtype.toUpperCase() as FormatName;

/**
 * Bytes of a tensor in a file; undefined where there is no such number: the product of the sizes, or of any of them from
 * the first on, is beyond exact numbers, or its bits are no whole bytes.
 */
export function fileBytes(dtype: FileDType, shape: readonly number[]): number | undefined {
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    if (!Number.isSafeInteger(elements)) return undefined;
  }
  const bytes = elements * (elementBits[formatNameOf(dtype)] / 8);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
