/** `finetune` and `evaluate` on records, as people and programs call them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';
import { objects, RecipeFolder } from './fixture-recipe.js';
import { runCommand } from './run-command.js';

let folder: RecipeFolder;
let base: string;
let records: string;
let numRuns = 0;

beforeAll(async () => {
  folder = new RecipeFolder();
  const { path, output } = folder.recipe();
  await runCommand(['train', path]);
  base = output;
  records = join(base, '..', 'pairs.jsonl');
  const pairs = Array.from({ length: 30 }, (_, i) => ({ prompt: `${i}=`, completion: `${i}` }));
  writeFileSync(records, pairs.map((pair) => JSON.stringify(pair)).join('\n'));
});
afterAll(() => folder[Symbol.dispose]());

const newOutput = (): string => join(base, '..', `finetuned-${numRuns++}`);

describe('finetune', () => {
  test('tells what trains, trains, and ends with the folder, which evaluates', async () => {
    const output = newOutput();
    const sizes = ['-s', '16', '-n', '3', '-t', '1'];
    const args = ['finetune', base, '-d', records, '-o', output, ...sizes, '--json'];
    const { code, stdout, stderr } = await runCommand(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = objects(stdout);
    expect(lines.map(({ type }) => type)).toEqual(['start', 'parts', 'step', 'step', 'step', 'result']);
    expect(lines[1]).toMatchObject({
      parts: expect.arrayContaining([expect.objectContaining({ part: 'query', isTrained: true })]),
      statistics: { kind: 'completion', numRecords: 30 },
    });
    const { folder: made, evaluation } = lines.at(-1) as { folder: string; evaluation: object };
    expect(made).toBe(join(output, 'model-3'));
    expect(evaluation).toMatchObject({ step: 3 });
    const measured = await runCommand(['evaluate', made, '-d', records, '-t', '1', '--json']);
    expect(objects(measured.stdout)).toEqual([
      expect.objectContaining({ type: 'evaluation', model: made, numTokens: expect.any(Number) }),
    ]);
  });

  test('for people prints the parts and the folder, with the method that is asked for', async () => {
    const output = newOutput();
    const args = ['finetune', base, '-d', records, '-o', output, '-n', '1', '-t', '1', '--no-packing'];
    const { code, stdout } = await runCommand([...args, '--method', 'dense']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ +part +tensors +numbers/m);
    expect(stdout).toMatch(/^method +dense/m);
    expect(stdout).toContain(`Model ${join(output, 'model-1')}`);
  });

  test('evaluate has answers written, and tells how many are right', async () => {
    const args = [
      'evaluate',
      base,
      '-d',
      records,
      '-t',
      '1',
      '--metrics',
      'exact-match',
      '--answer-after',
      '1',
    ];
    const { code, stdout, stderr } = await runCommand([...args, '--eval-sequences', '12', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [{ metrics, numRecords }] = objects(stdout) as [
      { metrics: { exactMatch: number }; numRecords: number },
    ];
    expect(numRecords).toBe(12);
    expect(stdout).toContain('9 of 12 answers hold no 1,');
    expect(metrics.exactMatch * 12).toBeCloseTo(Math.round(metrics.exactMatch * 12), 9);
    const shown = await runCommand([...args, '--eval-sequences', '12']);
    expect(shown.stdout).toContain(`exactMatch ${metrics.exactMatch.toFixed(4)}`);
  });

  test('files have weights, which the data of an epoch shows', async () => {
    const numTokens = async (...weights: string[]): Promise<number> => {
      const more = join(base, '..', `more-${numRuns++}.jsonl`);
      writeFileSync(more, JSON.stringify({ prompt: 'more', completion: 'x' }));
      const args = ['finetune', base, '-d', records, more, ...weights, '-o', newOutput()];
      const sizes = ['-s', '16', '-n', '1', '-t', '1', '--validation', records, '--json'];
      return (objects((await runCommand([...args, ...sizes])).stdout)[0] as { numTokens: number }).numTokens;
    };
    const [plain, weighted] = [await numTokens(), await numTokens('--data-weights', '1', '3')];
    expect(weighted - plain).toBe(2 * ('more'.length + 'x'.length + 1));
  });

  test('an encoder that learns classes is not said to write text', async () => {
    const encoder = join(base, '..', 'encoder');
    await writeModelFolder(encoder, modelOfBytes('bert'));
    const letters = join(base, '..', 'letters.csv');
    writeFileSync(letters, ['text,label', ...Array.from('xyxyxyxy', (name) => `${name},${name}`)].join('\n'));
    const args = ['finetune', encoder, '-d', letters, '--classes', 'x,y', '-n', '1', '-t', '1'];
    const { code, stdout } = await runCommand([...args, '-o', newOutput()]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Saved /m);
    expect(stdout).not.toContain('compact-train sample');
  });

  test.each<[string, (output: string) => string[], RegExp]>([
    [
      'weights of other files',
      (output) => ['-d', records, '-o', output, '--data-weights', '1', '2'],
      /every file of --data needs a weight/,
    ],
    ['no records', (output) => ['-o', output], /required option '-d, --data/],
    ['no folder to write into', () => ['-d', records], /outputDirectory is missing/],
    [
      'records that are not there',
      (output) => ['-d', 'none.jsonl', '-o', output],
      /none\.jsonl cannot be read/,
    ],
    [
      'records beyond the sequence',
      (output) => ['-d', records, '-o', output, '-s', '4'],
      /line 11, is longer than the context/,
    ],
  ])('refuses %s, and leaves nothing behind', async (_, args, sentence) => {
    const output = newOutput();
    const { code, stdout, stderr } = await runCommand(['finetune', base, ...args(output)]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(sentence);
    expect(existsSync(output)).toBe(false);
  });
});
