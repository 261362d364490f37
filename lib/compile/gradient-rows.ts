import { compactError } from '../errors.js';
import {
  type Node,
  type Value,
  definitionOf,
  dtypeBytes,
  parametersOf,
  producersOf,
  requiredAliases,
  rewrite,
  type Program,
} from '../graph/index.js';
import type { StepRules } from '../methods/index.js';
import type { Differentiated } from './differentiate.js';
import { alignmentBytes } from './lifetimes.js';

/**
 * Cuts gradients into rows where the method says so: in the place of a parameter and its gradient come rows of both,
 * whose updates follow one upon the other, so that the rows of one part are alive at a time.
 * @throws ERR_COMPACT_OP_UNSUPPORTED for a gradient that its op cannot give by rows
 */
export function gradientsByRows(program: Differentiated, rules: StepRules): Differentiated {
  const cut = new Map<Value, Value>();
  for (const [parameter, gradient] of program.gradients)
    if (rowsAtATime(parameter, rules) < parameter.shape[0]!) cut.set(gradient, parameter);
  if (cut.size === 0) return program;
  const producers = producersOf(program.nodes);
  const parts = new Map<Value, (readonly [Value, Value])[]>();
  const rewritten = rewrite(program, (node) => {
    const gradient = node.outputs.find((output) => cut.has(output));
    if (gradient === undefined) return undefined;
    const parameter = cut.get(gradient)!;
    const byRows = definitionOf(node).gradientByRows?.(node);
    if (byRows === undefined) throw notByRows(parameter, producers.get(gradient)!);
    const ranges = rangesOf(parameter.shape[0]!, rowsAtATime(parameter, rules));
    parts.set(
      parameter,
      ranges.map(([first, count]) => [
        program.graph.rows(parameter, first, count),
        byRows.rows(first, count),
      ]),
    );
    return byRows.others;
  });
  const gradients = [...program.gradients].flatMap((whole) => parts.get(whole[0]) ?? [whole]);
  return { ...rewritten, gradients: new Map(gradients) };
}

/** Whether a method cuts the gradient of a parameter that a program reads. */
export const cutsGradients = (program: Program, { gradientRows, isTrained }: StepRules): boolean =>
  parametersOf(program).some(
    (parameter) => gradientRows?.(parameter) !== undefined && isTrained?.(parameter) !== false,
  );

/** What the method asks for, rounded up such that all parts begin where values may. */
function rowsAtATime(parameter: Value, { gradientRows }: StepRules): number {
  const asked = gradientRows?.(parameter);
  if (asked === undefined) return parameter.shape[0]!;
  const rowBytes = parameter.shape.slice(1).reduce((a, b) => a * b, dtypeBytes[parameter.dtype]);
  let step = 1;
  while ((step * rowBytes) % alignmentBytes !== 0) step *= 2; // divides 256
  return Math.ceil(asked / step) * step;
}

/** Rows [first, first + count) one after the other; the last may be fewer. */
function rangesOf(rows: number, atATime: number): (readonly [number, number])[] {
  return Array.from({ length: Math.ceil(rows / atATime) }, (_, part) => {
    const first = part * atATime;
    return [first, Math.min(atATime, rows - first)] as const;
  });
}

function notByRows({ name }: Value, maker: Node): Error {
  const isSum = requiredAliases(maker).length > 0;
  return compactError('ERR_COMPACT_OP_UNSUPPORTED', `the gradient of ${name} cannot be made by rows`, {
    op: maker.op,
    expected: 'an embedding table or an output head that nothing else reads',
    received: isSum ? 'a table with several uses (tied embedding and head)' : maker.op,
    remedy: 'Leave out embeddingChunk, or use a model whose head has a weight of its own',
  });
}
