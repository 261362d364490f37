import type { Plan } from '../../lib/compile/index.js';
import type { Batch } from '../../lib/data/index.js';
import type { RunOptions, RunResult } from '../../lib/runtime/index.js';
import { runOptimizerStep } from '../../lib/train/schedule/optimizer-step.js';
import { windowOf } from '../helpers/window-of.js';

interface Call {
  readonly entry: string;
  readonly scalars: RunOptions['scalars'];
}

/** An engine whose loss is lossScale times the sum of the targets, and that remembers what it was asked. */
class RecordingEngine {
  readonly calls: Call[] = [];
  gradNorm = 2;

  async run(entry: string, { scalars, inputs }: RunOptions = {}): Promise<RunResult> {
    this.calls.push({ entry, scalars });
    if (entry === 'update') return { outputs: { gradNorm: Float32Array.of(this.gradNorm) }, durationMs: 1 };
    const sum = [...inputs!['targets']!].reduce((a, b) => a + b, 0);
    return { outputs: { loss: Float32Array.of(sum * scalars!.lossScale!) }, durationMs: 1 };
  }
}

const planWith = (...entries: string[]): Plan =>
  ({ entries: Object.fromEntries(entries.map((name) => [name, {}])) }) as unknown as Plan;

const batch = (targets: number[], numCountedTokens = targets.length): Batch => ({
  inputs: { tokens: new Int32Array(targets.length), targets: Int32Array.from(targets) },
  numCountedTokens,
});

describe('runOptimizerStep', () => {
  test('one micro-batch is one run', async () => {
    const engine = new RecordingEngine();
    const result = await runOptimizerStep(engine, planWith('step'), windowOf([batch([1, 2, 3, 6])]), {
      step: 9,
    });
    expect(engine.calls).toEqual([{ entry: 'step', scalars: { step: 9, lossScale: 1 / 4, accumulate: 0 } }]);
    expect(result).toMatchObject({ loss: 3, gradNorm: undefined, isUpdated: true });
  });

  test('unequal micro-batches are weighted by their tokens: the loss is the mean over all', async () => {
    const engine = new RecordingEngine();
    const window = windowOf([batch([1, 0, 0, 0], 1), batch([2, 3, 4, 0], 3), batch([5, 6, 7, 8])]);
    const result = await runOptimizerStep(engine, planWith('accumulate', 'update'), window, {});
    expect(result.loss).toBeCloseTo((1 + 2 + 3 + 4 + 5 + 6 + 7 + 8) / 8, 6);
    expect(result.gradNorm).toBe(2);
    expect(engine.calls.map(({ entry }) => entry)).toEqual([
      'accumulate',
      'accumulate',
      'accumulate',
      'update',
    ]);
    expect(engine.calls.slice(0, 3).map(({ scalars }) => scalars)).toEqual([
      { lossScale: 1 / 8, accumulate: 0 },
      { lossScale: 1 / 8, accumulate: 1 },
      { lossScale: 1 / 8, accumulate: 1 },
    ]);
  });

  test('a loss that is no number leaves the weights alone where the update is a run of its own', async () => {
    const engine = new RecordingEngine();
    const window = windowOf([batch([1]), batch([1])]);
    engine.run = async (entry) => {
      engine.calls.push({ entry, scalars: {} });
      return { outputs: { loss: Float32Array.of(NaN) }, durationMs: 1 };
    };
    const result = await runOptimizerStep(engine, planWith('accumulate', 'update'), window, {});
    expect(result.isUpdated).toBe(false);
    expect(engine.calls.map(({ entry }) => entry)).not.toContain('update');
  });

  test.each([0, 1, 2])(
    'a micro-batch %i that cannot be read: the error is told when what runs is over, and nothing is updated',
    async (broken) => {
      const engine = new RecordingEngine();
      const inner = engine.run.bind(engine);
      let numRunning = 0;
      engine.run = async (entry, options) => {
        numRunning++;
        await new Promise(setImmediate);
        numRunning--;
        return inner(entry, options);
      };
      const window = {
        ...windowOf([batch([1]), batch([2]), batch([3])]),
        microBatch: async (index: number) => {
          if (index === broken) throw new Error('unreadable');
          return batch([1]);
        },
      };
      const step = runOptimizerStep(engine, planWith('accumulate', 'update'), window, {});
      await expect(step).rejects.toThrow('unreadable');
      expect(numRunning).toBe(0);
      expect(engine.calls).toHaveLength(broken);
      expect(engine.calls.map(({ entry }) => entry)).not.toContain('update');
    },
  );
});
