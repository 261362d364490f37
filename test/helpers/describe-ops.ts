/**
 * The tests that every op must pass, on every instruction set of this machine: values against the twin, guard bytes
 * and inputs untouched, the same bits on a second run and for any number of threads.
 */
import { describe, expect, test } from '@jest/globals';
import { isCompactError } from '../../lib/errors.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';
import type { OpCase } from './op-case.js';
import { opPlan, type OpPlan, outputOf, strayWrites } from './op-plan.js';
import { compare } from './tolerances.js';

export const instructionSets = ['scalar', 'avx2', 'avx512', 'avx512-bf16', 'amx-bf16'] as const;
export type InstructionSet = (typeof instructionSets)[number];

/** Runs `body` with an engine; tells why when this machine has no such instructions. */
export async function withEngine(
  instructionSet: InstructionSet,
  threads: number,
  body: (engine: Engine) => Promise<void>,
): Promise<void> {
  let engine: Engine;
  try {
    engine = await Engine.open({ device: 'cpu', threads, instructionSet });
  } catch (error) {
    if (!isCompactError(error, 'ERR_COMPACT_DEVICE_UNAVAILABLE') || instructionSet === 'scalar') throw error;
    console.log(`skipped: ${error.message}`);
    return;
  }
  try {
    await body(engine);
  } finally {
    await engine.close();
  }
}

/** Contents of the arena after one run of all cases. */
export async function runOps(engine: Engine, { before }: OpPlan): Promise<Uint8Array> {
  await engine.run('write', { inputs: { arena: before } });
  await engine.run('run');
  const { outputs } = await engine.run('read');
  return outputs.arena as Uint8Array;
}

/** What is wrong with the outputs, one line for each. */
export function wrongOutputs({ cases }: OpPlan, after: Uint8Array): string[] {
  return cases.flatMap((placed) =>
    placed.opCase.outputs.flatMap(({ name, dtype }) => {
      const { op, right, naive, absolute } = placed.opCase;
      const found = outputOf(placed, name, after);
      const worst = compare(found, right[name]!, naive[name]!, { dtype, op, absolute: absolute[name] });
      if (worst.worst <= 1) return [];
      const { element } = worst;
      return [
        `${placed.opCase.name}: ${name}[${element}] is ${worst.found}, not ${worst.right}: ` +
          `${worst.worst.toPrecision(3)} times the allowed error`,
      ];
    }),
  );
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
const timeoutMs = 120_000;

/** Registers the tests of some ops; cases and memory are made once, when the first test runs. */
export function describeOps(name: string, makeCases: () => readonly OpCase[]): void {
  let planned: OpPlan | undefined;
  describe(name, () => {
    test.each(instructionSets)(
      '%s',
      async (instructionSet) => {
        planned ??= plannedCases(makeCases());
        let first: Map<string, string> | undefined;
        for (const threads of threadCounts) {
          await withEngine(instructionSet, threads, async (engine) => {
            await engine.load(planned!.plan);
            const after = await runOps(engine, planned!);
            const outputs = outputBytes(planned!, after);
            if (first === undefined) expect(wrongOutputs(planned!, after).slice(0, 12)).toEqual([]);
            first ??= outputs;
            expect(differences(outputs, first)).toEqual([]);
            expect(strayWrites(planned!, after)).toEqual([]);
            expect(differences(outputs, outputBytes(planned!, await runOps(engine, planned!)))).toEqual([]);
          });
        }
      },
      timeoutMs,
    );
  });
}

export const plannedCases = (cases: readonly OpCase[]): OpPlan =>
  opPlan(
    cases,
    threadCounts.map((threads) => cpuTarget({ threads })),
  );
