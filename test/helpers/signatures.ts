/** The op table of native/base/op_signatures.h, read as text, so that tests do not trust the addon's reading of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface OperandSignature {
  readonly name: string;
  /** 'f32' | 'i32' | 'u8' | 'i8', or a capital letter that stands for f32 or bf16. */
  readonly dtype: string;
  /** Sizes as they stand in the brackets, e.g. ['n', 'h'] or ['#e']. */
  readonly sizes: readonly string[];
  readonly isOptional: boolean;
  /** Outputs only: the input whose memory this output is. */
  readonly updates?: string;
  /** Of updates of one element: the attribute that is its number. */
  readonly element?: string;
}

export interface Signature {
  readonly op: string;
  readonly inputs: readonly OperandSignature[];
  readonly outputs: readonly OperandSignature[];
  /** Names with their defaults; undefined where the plan must give a value. */
  readonly attributes: Readonly<Record<string, number | undefined>>;
}

const table = readFileSync(join(__dirname, '../../native/base/op_signatures.h'), 'utf8');

export const signatures: ReadonlyMap<string, Signature> = new Map(
  [...table.matchAll(/^ {4}\{("(?:[^{}])*")\}/gm)].map(([, row]) => {
    const signature = parse(row!);
    return [signature.op, signature];
  }),
);

function parse(row: string): Signature {
  const [op, operands, attributes] = row
    .split(/",\s*"/)
    .map((field) => field.replaceAll(/"\s*"|"/g, '').trim()) as [string, string, string];
  const [left, right] = operands.split('->') as [string, string];
  const inputs = words(left).map((word) => operand(word, []));
  return {
    op,
    inputs,
    outputs: words(right).map((word) => operand(word, inputs)),
    attributes: Object.fromEntries(
      words(attributes).map((word) => {
        const [name, value] = word.split('=');
        return [name!, value === undefined ? undefined : Number(value)];
      }),
    ),
  };
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** `name?:T[n,m]`, `=name`, `=name[attribute]`, or `name=input:T[n,m]`. */
function operand(word: string, inputs: readonly OperandSignature[]): OperandSignature {
  if (word.startsWith('=')) {
    const [, updates, element] = /^=(\w+)(?:\[(\w+)\])?$/.exec(word)!;
    const input = inputs.find(({ name }) => name === updates)!;
    return { ...input, updates: input.name, ...(element && { element }) };
  }
  const [, name, optional, updates, dtype, sizes] = /^(\w+)(\??)(?:=(\w+))?:(\w+)\[(.*)\]$/.exec(word)!;
  return {
    name: name!,
    dtype: dtype!,
    sizes: sizes!.split(','),
    isOptional: optional === '?',
    ...(updates && { updates }),
  };
}
