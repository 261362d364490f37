/**
 * The tests that every op must pass, on every instruction set of the CPU and on the CUDA backend: values against the twin, guard bytes
 * and inputs untouched, the same bits on a second run and for any number of threads.
 */
import { describe, expect, test } from '@jest/globals';
import type { Engine } from '../../lib/runtime/index.js';
import {
  hasMatrixUnits,
  isCuda,
  isEmulated,
  type MachineName,
  machines,
  targetsOf,
  withEngine,
} from './machines.js';
import type { OpCase } from './op-case.js';
import { opPlan, type OpPlan, outputOf, strayWrites } from './op-plan.js';
import { compare } from './tolerances.js';

/** Contents of the arena after one run of all cases. */
export async function runOps(engine: Engine, { before }: OpPlan): Promise<Uint8Array> {
  await engine.run('write', { inputs: { arena: before } });
  await engine.run('run');
  const { outputs } = await engine.run('read');
  return outputs.arena as Uint8Array;
}

/** What is wrong with the outputs of a machine, one line for each. */
function wrongOutputs({ cases }: OpPlan, machine: MachineName, after: Uint8Array): string[] {
  return cases.flatMap((placed) =>
    placed.opCase.outputs.flatMap(({ name, dtype }) => {
      const { op, right, naive } = placed.opCase;
      const found = outputOf(placed, name, after);
      const absolute = absoluteAllowance(placed.opCase, name, machine);
      const worst = compare(found, right[name]!, naive[name]!, { dtype, op, absolute });
      if (worst.worst <= 1) return [];
      const { element } = worst;
      return [
        `${placed.opCase.name}: ${name}[${element}] is ${worst.found}, not ${worst.right}: ` +
          `${worst.worst.toPrecision(3)} times the allowed error`,
      ];
    }),
  );
}

function absoluteAllowance(opCase: OpCase, output: string, machine: MachineName): number {
  const { absolute, onMatrixUnits, right } = opCase;
  const share = hasMatrixUnits(machine) ? onMatrixUnits[output] : undefined;
  if (share === undefined) return absolute[output] ?? 0;
  const largest = right[output]!.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return (absolute[output] ?? 0) + share * largest;
}

/** Bytes of every output by its name. */
function outputBytes({ cases }: OpPlan, memory: Uint8Array): Map<string, string> {
  const entries = cases.flatMap(({ opCase, outputs }) =>
    outputs.map(({ offset, bytes }, i): [string, string] => [
      `${opCase.name}: ${opCase.outputs[i]!.name}`,
      Buffer.from(memory.buffer, memory.byteOffset + offset, bytes).toString('latin1'),
    ]),
  );
  return new Map(entries);
}

const differences = (a: Map<string, string>, b: Map<string, string>): string[] =>
  [...a.keys()].filter((name) => a.get(name) !== b.get(name));

const threadCounts = [1, 2, 3];
const timeoutMs = 240_000;

export interface DescribeOptions {
  /** Which cases an emulated GPU, a hundred times slower than the CPU, can afford. Every op has some. */
  readonly emulated?: (opCase: OpCase) => boolean;
}

/** Registers the tests of some ops; cases are made once, when the first test runs. */
export function describeOps(
  name: string,
  makeCases: () => readonly OpCase[],
  { emulated = () => true }: DescribeOptions = {},
): void {
  let all: readonly OpCase[] | undefined;
  describe(name, () => {
    test.each(machines)(
      '%s',
      async (machine) => {
        all ??= makeCases();
        const planned = plannedCases(isEmulated(machine) ? all.filter(emulated) : all, machine);
        let first: Map<string, string> | undefined;
        for (const threads of isCuda(machine) ? [1] : threadCounts) {
          await withEngine(machine, threads, async (engine) => {
            await engine.load(planned.plan);
            const after = await runOps(engine, planned);
            const outputs = outputBytes(planned, after);
            if (first === undefined) expect(wrongOutputs(planned, machine, after).slice(0, 12)).toEqual([]);
            first ??= outputs;
            expect(differences(outputs, first)).toEqual([]);
            expect(strayWrites(planned, after)).toEqual([]);
            // The emulation runs its threads in the same order every time.
            if (isEmulated(machine)) return;
            expect(differences(outputs, outputBytes(planned, await runOps(engine, planned)))).toEqual([]);
          });
        }
      },
      timeoutMs,
    );
  });
}

export const plannedCases = (cases: readonly OpCase[], machine: MachineName): OpPlan =>
  opPlan(cases, targetsOf(machine, threadCounts));
