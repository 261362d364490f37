import { beforeAll, describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluateModel, Trainer, type EvaluateOptions, type EvaluateReport } from '../../lib/train/index.js';
import type { RunOptions, RunResult } from '../../lib/runtime/index.js';
import { tokenAccuracy } from '../../lib/train/evaluation/metrics/index.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const checkpoint = join(folder, 'run');
const heldOut = join(folder, 'held-out.txt');
let expected: EvaluateReport;

beforeAll(async () => {
  writeFileSync(heldOut, 'one two three four five six seven eight nine\n'.repeat(20));
  const run = tinyRun(text, { data: { train: text, validation: heldOut }, outputDirectory: checkpoint });
  await using trainer = await Trainer.create(run);
  await trainer.run();
  expected = await trainer.evaluate();
});

const evaluate = (options: Partial<EvaluateOptions> = {}): ReturnType<typeof evaluateModel> =>
  evaluateModel({ model: checkpoint, data: heldOut, threads: 1, ...options });

describe('evaluateModel', () => {
  test('finds the loss that the run itself found on the same text', async () => {
    const { loss, perplexity, numTokens } = expected;
    const report = await evaluate({ batchSize: 2 });
    expect(report).toMatchObject({ loss, perplexity, numTokens, step: 8 });
    expect(report.model).toBe(join(checkpoint, 'checkpoint-8'));
    expect(report.warnings).toEqual([]);
  });

  test('does not depend on how many sequences are read at a time', async () => {
    // Sums of equal terms in another order: f32 rounding.
    expect((await evaluate({ batchSize: 7 })).loss).toBeCloseTo(expected.loss, 5);
    expect((await evaluate({ batchSize: 1000 })).loss).toBeCloseTo(expected.loss, 5);
  });

  test('reads no more sequences than it is told, of the length that it is told', async () => {
    expect((await evaluate({ evalSequences: 3 })).numTokens).toBe(3 * 16);
    expect((await evaluate({ evalSequences: 3, sequenceLength: 8 })).numTokens).toBe(3 * 8);
  });

  test.each<[string, object, string]>([
    ['no checkpoint', { model: folder }, 'ERR_COMPACT_CHECKPOINT_MISSING'],
    ['no text', { data: join(folder, 'none.txt') }, 'ERR_COMPACT_DATA_READ'],
    ['longer sequences than the model knows', { sequenceLength: 1e6 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['a text shorter than a sequence', { sequenceLength: 1024 }, 'ERR_COMPACT_DATA_TOO_SHORT'],
    ['less memory than it needs', { memoryLimitBytes: 1024 }, 'ERR_COMPACT_DOES_NOT_FIT'],
    ['an option that there is none of', { batchsize: 4 }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY'],
    ['an interruption', { signal: AbortSignal.abort() }, 'ERR_COMPACT_ABORTED'],
  ])('refuses %s', async (_, options, code) => {
    await expect(evaluate(options)).rejects.toMatchObject({ code });
  });

  test('reads lines of JSON by the key that it is told', async () => {
    const lines = join(folder, 'lines.jsonl');
    const line = `${JSON.stringify({ body: readFileSync(heldOut, 'utf8') })}\n`;
    writeFileSync(lines, line);
    // The end of the document is one token more, which begins no sequence.
    const { loss, numTokens } = await evaluate({
      data: { train: lines, textField: 'body' },
      batchSize: 2,
    });
    expect({ loss, numTokens }).toEqual({ loss: expected.loss, numTokens: expected.numTokens });
    await expect(evaluate({ data: lines })).rejects.toMatchObject({ code: 'ERR_COMPACT_DATA_FORMAT' });
  });

  test('measures what it is asked to: the share of tokens that are likeliest where they stand', async () => {
    const all = await evaluate({ batchSize: 2, metrics: ['accuracy'] });
    const accuracy = all.metrics!['accuracy']!;
    expect(all).toMatchObject({ loss: expected.loss, numTokens: expected.numTokens });
    expect(accuracy * all.numTokens).toBeCloseTo(Math.round(accuracy * all.numTokens), 6);
    expect(await evaluate()).not.toHaveProperty('metrics');
    // A token that is sure is right: the loss bounds how many can be wrong.
    expect(1 - accuracy).toBeLessThan(all.loss / Math.LN2);
  });

  test('only places that count are looked at, and the first of equal tokens is taken', async () => {
    const rows = [
      { targets: Int32Array.of(2, -100, 0), logits: [0, 1, 5, 9, 0, 0, 1, 2, 3] },
      { targets: Int32Array.of(1, 1, -100), logits: [0, 1, 1, 1, 1, 1, 0, 0, 0] },
    ];
    const dataset = {
      validationBatch: async (first: number) => ({
        inputs: { tokens: Int32Array.of(first), targets: rows[first]!.targets },
        numCountedTokens: 2,
      }),
    };
    const engine = {
      run: async (entry: string, { inputs }: RunOptions = {}): Promise<RunResult> => {
        expect([entry, Object.keys(inputs!)]).toEqual(['predict', ['tokens']]);
        const logits = Float32Array.from(rows[(inputs!['tokens'] as Int32Array)[0]!]!.logits);
        return { outputs: { logits }, durationMs: 0 };
      },
    };
    expect(await tokenAccuracy(engine, dataset, { limit: 2 })).toBe(2 / 4);
  });

  test('leaves nothing behind in the folder of the run', async () => {
    const before = readdirSync(checkpoint, { recursive: true });
    await evaluate();
    expect(readdirSync(checkpoint, { recursive: true })).toEqual(before);
  });
});
