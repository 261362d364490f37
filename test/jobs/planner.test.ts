/** Planning on a thread of its own. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { memoryReport } from '../../lib/memory/index.js';
import { DeviceMemory } from '../../lib/jobs/device-memory.js';
import { planJob } from '../../lib/jobs/plan-job.js';
import type * as source from '../../lib/jobs/planner.js';
import { loadModel, Trainer } from '../../lib/train/index.js';
import { fineTuneOptions } from '../../lib/train/fine-tune.js';
import { fineTuneFromRecipe } from '../../lib/train/options/fine-tune-recipe.js';
import { built } from '../helpers/built.js';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';

const { Planner } = built('jobs/planner') as typeof source;
const MiB = 2 ** 20;

let folder: string;
let recipe: Readonly<Record<string, unknown>>;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compact-planner-'));
  const model = await writeModelFolder(join(folder, 'base'), modelOfBytes('llama3'));
  const records = join(folder, 'texts.jsonl');
  writeFileSync(
    records,
    Array.from({ length: 30 }, (_, i) => JSON.stringify({ text: `text ${i}` })).join('\n'),
  );
  recipe = { model, data: { records }, device: 'cpu', threads: 1, batchSize: 2, sequenceLength: 32 };
});
afterAll(() => rmSync(folder, { recursive: true }));

const options = (memoryBytes = 4096 * MiB) => ({
  presetDirectory: join(folder, 'presets'),
  devices: [{ name: 'cpu', memoryBytes }],
});

/** How often a timer fires while something is done. */
async function ticksDuring(work: () => Promise<unknown>): Promise<number> {
  let numTicks = 0;
  const timer = setInterval(() => numTicks++, 1);
  await work();
  clearInterval(timer);
  return numTicks;
}

describe('a planner', () => {
  test('tells what training allocates, learns and takes', async () => {
    await using planner = new Planner(options());
    const plan = await planner.plan(recipe);
    const outputDirectory = join(folder, 'run');
    await using trainer = await Trainer.create(
      await fineTuneOptions(fineTuneFromRecipe({ ...recipe, outputDirectory })),
    );
    const { step, numTokensSeen } = await trainer.run();
    expect(plan).toEqual({
      device: 'cpu',
      plannedBytes: trainer.memory().allocatedBytes,
      overheadBytes: expect.any(Number),
      numParameters: loadModel(recipe['model'] as string).numParameters,
      maxSteps: step,
      numTokens: expect.any(Number),
      bytesByKind: memoryReport(trainer.plan).byKind,
      denseBytesByKind: expect.objectContaining({ parameter: plan.bytesByKind['parameter'] }),
    });
    expect(Math.abs(plan.numTokens / numTokensSeen - 1)).toBeLessThan(0.05);
  });

  test('leaves the event loop to others', async () => {
    await using planner = new Planner(options());
    const model = await writeModelFolder(
      join(folder, 'deep'),
      modelOfBytes('llama3', { num_hidden_layers: 16 }),
    );
    const deep = { ...recipe, model };
    const numFree = await ticksDuring(() => planner.plan(deep));
    const numBusy = await ticksDuring(() => planJob(deep, options()));
    expect(numFree).toBeGreaterThan(2 * numBusy);
  });

  test('answers each question with its own plan or error, also after an error, and none once it is closed', async () => {
    const planner = new Planner(options());
    const answers = await Promise.allSettled([
      planner.plan({ ...recipe, maxSteps: 3 }),
      planner.plan({ ...recipe, learningRate: 'fast' }),
      planner.plan({ ...recipe, maxSteps: 5 }),
    ]);
    expect(answers).toMatchObject([
      { value: { maxSteps: 3 } },
      { reason: { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'learningRate', received: '"fast"' } },
      { value: { maxSteps: 5 } },
    ]);
    const pending = planner.plan(recipe);
    const closed = { code: 'ERR_COMPACT_DISPOSED' };
    await Promise.all([planner.close(), expect(pending).rejects.toMatchObject(closed)]);
    await expect(planner.plan(recipe)).rejects.toMatchObject(closed);
  });

  test('refuses what does not fit the device, or the limit of the recipe, with what would', async () => {
    const plan = await planJob(recipe, options());
    const needed = plan.plannedBytes + plan.overheadBytes;
    await using planner = new Planner(options(needed - 1));
    const refused = {
      code: 'ERR_COMPACT_DOES_NOT_FIT',
      details: { plan, limitBytes: plan.plannedBytes - 1 },
    };
    await expect(planner.plan(recipe)).rejects.toMatchObject(refused);
    expect(await planJob(recipe, options(needed))).toEqual(plan);
    const limited = { ...recipe, memoryLimitBytes: plan.plannedBytes - 1 };
    await expect(planJob(limited, options())).rejects.toMatchObject(refused);
  });
});

test('where jobs have no CPU, none is planned for it; where they have next to nothing of it, none fits', async () => {
  const gpuAlone = { ...options(), devices: [{ name: 'cuda-none:0', memoryBytes: 1 }] };
  for (const device of ['cpu', 'auto'])
    await expect(planJob({ ...recipe, device }, gpuAlone)).rejects.toMatchObject({
      code: 'ERR_COMPACT_DEVICE_UNAVAILABLE',
      expected: 'one of cuda-none:0',
    });
  await expect(planJob(recipe, options(1))).rejects.toMatchObject({ code: 'ERR_COMPACT_DOES_NOT_FIT' });
});

test('a preset that no device could hold is refused, and not made', async () => {
  const large = { ...recipe, model: { preset: 'llama-7b' } };
  await expect(planJob(large, options())).rejects.toMatchObject({ code: 'ERR_COMPACT_DOES_NOT_FIT' });
  expect(existsSync(options().presetDirectory)).toBe(false);
});

describe('memory of devices', () => {
  const planOf = (device: string, plannedBytes: number) => ({
    ...{ device, plannedBytes, overheadBytes: 10, numParameters: 1, maxSteps: 1, numTokens: 1 },
    ...{ bytesByKind: {}, denseBytesByKind: {} },
  });

  test('is given to plans that fit beside the others, on the GPU with most room where any will do', () => {
    const [cpu, first, second] = [
      { name: 'cpu', memoryBytes: 50 },
      { name: 'cuda:0', memoryBytes: 100 },
      { name: 'cuda:1', memoryBytes: 90 },
    ];
    const memory = new DeviceMemory([cpu, first, second]);
    expect(memory.find(planOf('cuda', 90))).toBe(first);
    expect(memory.find(planOf('cuda', 91))).toBeUndefined();
    expect(memory.find(planOf('cuda:1', 90))).toBeUndefined();
    const taken = memory.take(first, planOf('cuda', 20));
    expect(memory.find(planOf('cuda', 60))).toBe(second);
    expect(memory.find(planOf('cuda:0', 60))).toBe(first);
    expect(memory.find(planOf('cuda:0', 61))).toBeUndefined();
    taken[Symbol.dispose]();
    expect(memory.find(planOf('cuda', 60))).toBe(first);
    expect(memory.find(planOf('cpu', 40))).toBe(cpu);
    expect(memory.find(planOf('cuda:10', 1))).toBeUndefined();
  });
});
