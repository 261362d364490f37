/** Groups of instructions on the CUDA backend: the bits of a run without them, and its memory. */
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions, type Plan } from '../../lib/compile/index.js';
import { type CompactOptions, compact, dense, type Method } from '../../lib/methods/index.js';
import { llama, type LlamaPreset, llamaPresets } from '../../lib/models/index.js';
import { cudaTarget, type HostArray } from '../../lib/runtime/index.js';
import { cudaDevice, withEngine } from '../helpers/machines.js';
import { startTiny, tinyPlan, trainTiny } from '../helpers/whole-model.js';

const grouping = cudaTarget(cudaDevice);
const oneByOne = { ...grouping, groupedOps: new Set<string>() };

const countJoined = (plan: Plan): number =>
  Object.values(plan.entries)
    .flatMap(({ instructions }) => instructions)
    .filter(({ joinsPrevious }) => joinsPrevious).length;

describe('bits', () => {
  /** Losses of four steps, and all that is kept between steps. */
  async function outcome(plan: Plan, method: Method, microBatches: number) {
    let losses: readonly number[] = [];
    const kept: Record<string, HostArray> = {};
    await withEngine(cudaDevice, 1, async (engine) => {
      await engine.load(plan);
      await startTiny(engine, plan);
      const learningRates = Array.from({ length: 4 / microBatches }, () => 0.01);
      ({ losses } = await trainTiny(engine, plan, method, { microBatches, learningRates }));
      for (const { name, region } of plan.values)
        if (region === 'persistent') kept[name] = await engine.read(name);
    });
    return { losses, kept };
  }

  const options: CompactOptions = { rankRatio: 0.5, refreshInterval: 2, weightDecay: 0.1 };
  const lazy = compact({ ...options, store: 'lazy', outputProjection: 'lazy' });
  test.each<[string, Method, Partial<CompileOptions>]>([
    ['compact in bf16', compact(options), { dtype: 'bf16' }],
    ['compact in f32', compact(options), { dtype: 'f32' }],
    ['lazy, each layer again in backward', lazy, { dtype: 'bf16', recompute: 'layer' }],
    ['accumulated', compact(options), { dtype: 'bf16', gradientDtype: 'bf16', accumulateGradients: true }],
    ['clipped', compact(options), { dtype: 'bf16', maxGradNorm: 0.5 }],
    ['dense', dense(), { dtype: 'bf16' }],
  ])('%s: as without groups', async (_, method, change) => {
    const microBatches = change.accumulateGradients ? 2 : 1;
    const [grouped, single] = [grouping, oneByOne].map((target) =>
      tinyPlan(method, target, { entries: ['train'], ...change }),
    );
    expect(countJoined(single!)).toBe(0);
    expect(countJoined(grouped!)).toBeGreaterThan(2 * 4); // of two layers
    const expected = await outcome(single!, method, microBatches);
    expect(expected.losses.at(-1)).not.toBe(expected.losses[0]);
    expect(await outcome(grouped!, method, microBatches)).toEqual(expected);
  });
});

describe('memory', () => {
  const peakOf = (preset: LlamaPreset, method: Method, change: Partial<CompileOptions> = {}): number =>
    compile({
      model: llama(preset),
      method,
      target: grouping,
      batchSize: 128,
      sequenceLength: 256,
      dtype: 'bf16',
      entries: ['train'],
      ...change,
    }).peakBytes;
  const quarter = compact({ rankRatio: 0.25 });
  const lazyQuarter = compact({ rankRatio: 0.25, store: 'lazy' });

  test.each(Object.keys(llamaPresets) as LlamaPreset[])('%s: the peak moves by less than 1 %%', (preset) => {
    for (const batchSize of [1, 128])
      for (const [method, recompute] of [
        [quarter, 'none'],
        [lazyQuarter, 'none'],
        [quarter, 'layer'],
      ] as const) {
        const [grouped, single] = [grouping, oneByOne].map((target) =>
          peakOf(preset, method, { target, batchSize, recompute }),
        );
        expect(grouped! / single!).toBeLessThan(1.01);
      }
  });

  test('350m at 32,768 tokens keeps what it is said to save', () => {
    const plain = peakOf('llama-350m', dense());
    const selective = peakOf('llama-350m', dense(), { recompute: 'cheap' });
    const lazyPeak = peakOf('llama-350m', lazyQuarter);
    expect(peakOf('llama-350m', quarter) / plain).toBeLessThanOrEqual(0.78);
    expect(lazyPeak / plain).toBeLessThanOrEqual(0.72);
    expect(lazyPeak).toBeLessThanOrEqual(selective);
  });
});
