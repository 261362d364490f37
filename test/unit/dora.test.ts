/** DoRA: what it holds, beside LoRA. Its steps: test/train/dora.test.ts. */
import { describe, expect, test } from '@jest/globals';
import { memoryReport } from '../../lib/memory/index.js';
import { dora, lora, type Method, StepClock } from '../../lib/methods/index.js';
import { planSmall, smallConfig } from '../helpers/plan-small.js';

const { hiddenSize: h, intermediateSize: f, numHiddenLayers: layers } = smallConfig;
const r = 4;
const options = { r, targetModules: 'all-linear' } as const;
/** Of all weights of a layer together. */
const [inputs, outputs] = [4 * h + 2 * h + f, 4 * h + 2 * f + h];

describe('a plan', () => {
  test('trains r (n + m) + m numbers for each weight', () => {
    const [plan, other] = [planSmall(dora(options)), planSmall(lora(options))].map(
      (of) => memoryReport(of).byKind,
    );
    expect(plan!.optimizerState).toBe(4 * 2 * layers * (r * (inputs + outputs) + outputs));
    // Magnitudes, and the norms that there are.
    expect(plan!.parameter - other!.parameter).toBe(4 * 2 * layers * outputs);
  });

  test('takes norms between steps, and nowhere else', () => {
    const { entries } = planSmall(dora(options));
    const withNorms = Object.values(entries).filter(({ instructions }) =>
      instructions.some(({ op }) => op === 'channelFactors'),
    );
    expect(withNorms.map(({ name }) => name)).toEqual(['prepare', 'norms']);
    expect(new StepClock(dora(options)).completeStep()).toEqual({ entries: ['norms'], report: {} });
  });

  test('keeps what a layer gives before its magnitudes, of that layer alone with checkpoints', () => {
    const peak = (method: Method, recompute: 'none' | 'layer'): number =>
      planSmall(method, { recompute, entries: ['train'] }).arenaBytes;
    const tokens = 2 * 16;
    const more = (recompute: 'none' | 'layer'): number =>
      peak(dora(options), recompute) - peak(lora(options), recompute);
    expect(more('none')).toBeLessThanOrEqual(4 * tokens * layers * outputs);
    expect(more('layer')).toBeLessThanOrEqual(2 * 4 * tokens * outputs);
  });
});
