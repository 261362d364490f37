/** The profile of a training step, on every device that runs here. */
import { describe, expect, test } from '@jest/globals';
import { benchDevice } from '../../lib/cli/bench/device.js';
import { opProfile } from '../../lib/cli/bench/steps/op-profile.js';
import { timeSteps } from '../../lib/cli/bench/steps/step-runner.js';
import { compile } from '../../lib/compile/index.js';
import { compact } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { devices } from '../../lib/runtime/index.js';
import { tinyConfig } from '../helpers/tiny-run.js';

const kinds = devices().flatMap(({ kind, numDevices }) => (numDevices > 0 ? [kind] : []));

describe.each(kinds)('on %s', (kind) => {
  test('every instruction has its time, and their sum is the step', async () => {
    const device = benchDevice(kind, 1);
    const model = llama(tinyConfig);
    const method = compact({ rank: 8 });
    const shape = { batchSize: 1, sequenceLength: 8 };
    const plan = compile({
      model,
      method,
      target: device.target,
      ...shape,
      dtype: 'f32',
      entries: ['initialize', 'train'],
    });
    const { word } = device;
    const run = { plan, model, method, device: word, threads: 1, sequenceLength: 8, numTokens: 8 };
    const times = await timeSteps({ ...run, warmupSteps: 1, steps: 2, profile: true });
    const { instructions, operations, total, stepMs, explained } = opProfile(plan, times, undefined);
    expect(instructions).toHaveLength(plan.entries['step']!.instructions.length);
    for (const { ms, bytes } of instructions) expect([ms >= 0, bytes > 0]).toEqual([true, true]);
    expect(operations.map(({ op }) => op)).toEqual(
      expect.arrayContaining(['matmul', 'project', 'attention']),
    );
    expect(operations.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(total.ms, 6);
    expect(total.flops).toBe(instructions.reduce((sum, { flops }) => sum + flops, 0));
    // Times lie inside the step, one after the other.
    expect(explained).toBeCloseTo(total.ms / stepMs, 9);
    expect(explained).toBeGreaterThan(0);
    expect(explained).toBeLessThanOrEqual(1);
  });
});
