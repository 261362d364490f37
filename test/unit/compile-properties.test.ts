/** What must hold for every plan, over random models, methods and policies. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  type CompileOptions,
  compile,
  groupSpans,
  workspaceSpans,
  type Plan,
  type PlanEntry,
} from '../../lib/compile/index.js';
import { buildEntries } from '../../lib/compile/entries.js';
import { compact } from '../../lib/methods/index.js';
import { Expressions, meaningOfGraph, meaningOfPlan } from '../helpers/symbolic.js';
import { smallRuns } from '../helpers/small-llama.js';

const runs = { numRuns: 100, seed: 20241015 };

/** Calls `check` for every entry of the plan of every random run. */
function forEveryEntry(check: (plan: Plan, entry: PlanEntry) => void): void {
  fc.assert(
    fc.property(smallRuns, (options) => {
      const plan = compile(options);
      for (const entry of Object.values(plan.entries)) check(plan, entry);
    }),
    runs,
  );
}

interface Held {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Values and workspaces of an entry with their lives. */
function heldOf(plan: Plan, entry: PlanEntry): Held[] {
  const values = entry.lifetimes.map(({ value, first, last }) => ({ ...plan.values[value]!, first, last }));
  const spans = workspaceSpans(entry.instructions);
  const workspaces = entry.instructions.map(({ workspace }, index) => ({
    ...workspace,
    name: `workspace ${index}`,
    ...spans[index]!,
  }));
  return [...values, ...workspaces].filter(({ bytes }) => bytes > 0);
}

const aligned = (bytes: number): number => Math.ceil(bytes / 256) * 256;

describe('every plan', () => {
  test('computes over its bytes what its graph says, whatever is recomputed', () => {
    fc.assert(
      fc.property(smallRuns, (options) => {
        const plan = compile(options);
        const programs = buildEntries(options).filter(({ nodes }) => nodes.length > 0);
        expect(Object.keys(plan.entries)).toEqual(programs.map(({ name }) => name));
        const expressions = new Expressions();
        for (const program of programs)
          expect(meaningOfPlan(plan, program.name, expressions)).toEqual(
            meaningOfGraph(program, expressions),
          );
      }),
      runs,
    );
  });

  test('gives no byte to two values at a time', () => {
    forEveryEntry((plan, entry) => {
      const held = heldOf(plan, entry);
      for (const [index, a] of held.entries())
        for (const b of held.slice(index + 1)) {
          const inTime = a.first <= b.last && b.first <= a.last;
          const inSpace = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
          if (inTime && inSpace) throw new Error(`${a.name} and ${b.name} overlap`);
        }
    });
  });

  test('prepares workspaces beside the instruction before, where that costs no memory', () => {
    let numPrepared = 0;
    fc.assert(
      fc.property(smallRuns, (options) => {
        const plan = compile(options);
        const { preparedOps: ops, ...plain } = options.target;
        expect(plan.arenaLowerBoundBytes).toBe(compile({ ...options, target: plain }).arenaLowerBoundBytes);
        for (const { instructions } of Object.values(plan.entries))
          for (const [index, { op, isPreparedAhead, joinsPrevious }] of instructions.entries()) {
            if (!isPreparedAhead) continue;
            numPrepared++;
            expect([index > 0, joinsPrevious, ops?.has(op)]).toEqual([true, false, true]);
          }
      }),
      runs,
    );
    expect(numPrepared).toBeGreaterThan(100);
  });

  test('knows from when to when each value is needed', () => {
    forEveryEntry((plan, entry) => {
      const lives = new Map(entry.lifetimes.map(({ value, first, last }) => [value, { first, last }]));
      const spans = groupSpans(entry.instructions);
      const fail = (index: number, id: number) => {
        throw new Error(`${entry.name}[${index}]: ${plan.values[id]!.name} is used outside of its life`);
      };
      for (const [index, { inputs, outputs }] of entry.instructions.entries()) {
        const span = spans[index]!; // of the group, during which the whole of it may run
        for (const id of inputs) {
          if (id < 0 || plan.values[id]!.region !== 'arena') continue;
          const { first, last } = lives.get(id)!;
          // A value that is taken over in place hands its bytes to its successor at the instruction that reads it.
          const isTakenOver = outputs.some(
            (output) =>
              plan.values[output]!.offset === plan.values[id]!.offset &&
              lives.get(output)?.first === span.first,
          );
          if (first > span.first || last < (isTakenOver ? span.first - 1 : span.last)) fail(index, id);
        }
        for (const id of outputs)
          if (plan.values[id]!.region === 'arena' && lives.get(id)!.first !== span.first) fail(index, id);
      }
    });
  });

  test('states its peak and its lower bound as a count instruction by instruction gives them', () => {
    forEveryEntry((plan, entry) => {
      const held = heldOf(plan, entry);
      let highest = 0;
      let fullest = 0;
      for (const index of entry.instructions.keys()) {
        const now = held.filter(({ first, last }) => first <= index && index <= last);
        highest = Math.max(highest, ...now.map(({ offset, bytes }) => offset + aligned(bytes)));
        fullest = Math.max(
          fullest,
          now.reduce((sum, { bytes }) => sum + aligned(bytes), 0),
        );
      }
      expect(entry.arenaBytes).toBe(highest);
      expect(entry.arenaLowerBoundBytes).toBe(fullest);
      expect(plan.arenaBytes).toBeGreaterThanOrEqual(entry.arenaBytes);
    });
  });

  test('packs persistent values without overlap, and counts nothing else', () => {
    fc.assert(
      fc.property(smallRuns, (options) => {
        const plan = compile(options);
        let end = 0;
        const names = new Set<string>();
        for (const { region, name, offset, bytes } of plan.values) {
          if (region !== 'persistent') continue;
          expect(offset).toBe(end);
          end += aligned(bytes);
          expect(names.has(name)).toBe(false);
          names.add(name);
        }
        expect(plan.persistentBytes).toBe(end);
        expect(plan.peakBytes).toBe(plan.persistentBytes + plan.arenaBytes);
      }),
      runs,
    );
  });

  test('is the same for the same options', () => {
    fc.assert(
      fc.property(smallRuns, (options) => {
        expect(compile(options)).toEqual(compile(options));
      }),
      { ...runs, numRuns: 20 },
    );
  });
});

test('lazy and stored compression mean the same', () => {
  fc.assert(
    fc.property(smallRuns, fc.constantFrom('input' as const, 'weight' as const), (options, sharing) => {
      const expressions = new Expressions();
      const meaning = (store: 'stored' | 'lazy', change: Partial<CompileOptions> = {}) => {
        const plan = compile({ ...options, method: compact({ rank: 2, store, sharing }), ...change });
        return Object.keys(plan.entries).map((entry) => meaningOfPlan(plan, entry, expressions));
      };
      expect(meaning('lazy')).toEqual(meaning('stored', { recompute: 'none' }));
    }),
    { ...runs, numRuns: 40 },
  );
});
