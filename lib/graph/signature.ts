// The signature of an op, as its definition writes it and as the engine reads it: `x:T[n,h] weight:T[h] -> y:T[n,h] rstd:f32[n]`.
//
// Operands: name[?]:dtype[sizes] ... -> name:dtype[sizes] ...
//   ?       the input may be absent
//   dtype   f32 i32 u8 i8, or a capital letter: one dtype (f32 or bf16) per letter and call; S|u8: or u8
//   sizes   lower-case letters, equal letters are equal sizes; a number is that size; * any size
//           [#e] any shape of e elements in total
//   An output written as `=name` is the input of that name, updated in place: it is the memory of that input, and absent
//   where that is. `=name[attribute]` updates only the element of that number. An output `c=accumulator:C[m,n]` is the
//   memory of the optional input `accumulator` where that is present, and a plain output otherwise.
// Attributes: name or name=default. Every attribute may be a constant or a runtime scalar.

/** One input of a signature. */
export interface Operand {
  readonly name: string;
  /** A dtype, or a capital letter: f32 or bf16 (u8 too where `|u8` follows), the same for equal letters of a call. */
  readonly dtype: string;
  /** Letters (equal sizes), numbers, `*` (any size), or `#e` alone: any shape of e elements. */
  readonly sizes: readonly string[];
  readonly isOptional: boolean;
}

/** One output of a signature. */
export interface OutputOperand extends Operand {
  /** Number of the input whose memory this is; absent where that is. */
  readonly updates?: number;
  /** Of `updates`, those of a single element: the attribute that is its number. */
  readonly element?: string;
  /** Number of the input whose memory this is where that is present. */
  readonly accumulates?: number;
}

/** Operands and attributes of an op. */
export interface Signature {
  readonly inputs: readonly Operand[];
  readonly outputs: readonly OutputOperand[];
  /** Attributes by name with their defaults; undefined: must be given. */
  readonly attributes: Readonly<Record<string, number | undefined>>;
}

export function parseSignature(operands: string, attributes = ''): Signature {
  const [left, right] = operands.split('->') as [string, string];
  const inputs = wordsOf(left).map(parseOperand);
  return {
    inputs,
    outputs: wordsOf(right).map((word) => parseOutput(word, inputs)),
    attributes: Object.fromEntries(
      wordsOf(attributes).map((word) => {
        const [name, value] = word.split('=') as [string, string?];
        return [name, value === undefined ? undefined : Number(value)];
      }),
    ),
  };
}

/** Outputs that a call with these inputs has: all but the updates of absent ones. */
export const presentOutputs = (
  { outputs }: Signature,
  inputs: readonly unknown[],
): readonly OutputOperand[] =>
  outputs.filter(({ updates }) => updates === undefined || inputs[updates] !== undefined);

export const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

export const indexOfOperand = (operands: readonly Operand[], name: string): number =>
  operands.findIndex((operand) => operand.name === name);

function parseOperand(text: string): Operand {
  const [, name, optional, dtype, sizes] = /^(\w+)(\??):([\w|]+)\[(.*)\]$/.exec(text) as string[];
  return { name: name!, dtype: dtype!, sizes: sizes!.split(','), isOptional: optional === '?' };
}

function parseOutput(text: string, inputs: readonly Operand[]): OutputOperand {
  const update = /^=(\w+)(?:\[(\w+)\])?$/.exec(text);
  if (update !== null) {
    const updates = indexOfOperand(inputs, update[1]!);
    return { ...inputs[updates]!, updates, element: update[2] };
  }
  const [, name, accumulator, operand] = /^(\w+)(?:=(\w+))?(:.*)$/.exec(text) as string[];
  const output = parseOperand(`${name}${operand}`);
  return accumulator === undefined ? output : { ...output, accumulates: indexOfOperand(inputs, accumulator) };
}
