/**
 * What every float64 twin takes and gives.
 *
 * A twin is a plain, slow statement of one op of docs/operations.md over tensors of doubles. The same text also
 * serves as the naive computation in single precision: `round` is applied to every arithmetic result, so
 * `Math.fround` turns the twin into the textbook fp32 loop whose error is the yardstick for tolerances. `store` is
 * applied to matrices that an op hands from one of its products to the next, which bf16 kernels keep in bf16.
 */

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export type Round = (x: number) => number;
export const exact: Round = (x) => x;

export type Inputs = Readonly<Record<string, Tensor | undefined>>;
export type Outputs = Readonly<Record<string, Tensor>>;
export type Numbers = Readonly<Record<string, number>>;

/** Twins name the inputs and attributes that they take, hence `never` where all of them are in one table. */
export type Twin = (inputs: never, attributes: never, round: Round, store: Round) => Outputs;

export const numElements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export function tensor(shape: readonly number[], values?: Iterable<number>): Tensor {
  const data = values === undefined ? new Float64Array(numElements(shape)) : Float64Array.from(values);
  if (data.length !== numElements(shape)) throw new Error(`${data.length} values for [${shape.join(', ')}]`);
  return { shape, data };
}

/** (rows, columns); a vector is one row. */
export function matrixSize({ shape }: Tensor): readonly [number, number] {
  return shape.length === 1 ? [1, shape[0]!] : [shape[0]!, numElements(shape.slice(1))];
}

export const mapElements = (x: Tensor, f: (value: number, element: number) => number): Tensor => ({
  shape: x.shape,
  data: x.data.map(f),
});

/** The rule of every op with an accumulator: add to what is there, or overwrite it. */
export function accumulated(
  result: Tensor,
  accumulator: Tensor | undefined,
  accumulate: number,
  round: Round,
): Tensor {
  if (accumulator === undefined || accumulate === 0) return result;
  return mapElements(result, (value, i) => round(accumulator.data[i]! + value));
}
