import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { llamaPresets } from '../../lib/models/index.js';
import { objects, RecipeFolder } from './fixture-recipe.js';
import { runCommand } from './run-command.js';

// Each command is a process of its own, and test machines may be busy.
let folder: RecipeFolder;
let output: string;
beforeAll(async () => {
  folder = new RecipeFolder();
  const recipe = folder.recipe({ evalSteps: 2, saveSteps: 2, saveTotalLimit: 0 });
  output = recipe.output;
  expect((await runCommand(['train', recipe.path, '--quiet'])).code).toBe(0);
});
afterAll(() => folder[Symbol.dispose]());

describe('ls', () => {
  test('lists the packaged recipes and models with their sizes', async () => {
    const { code, stdout } = await runCommand(['ls']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}quickstart +llama-demo +compact +2,048 +300$/m);
    expect(stdout).toMatch(/^ {2}llama-7b +6\.74B +32,000 +12\.6 GiB +25\.1 GiB$/m);
  });

  test('lists them for programs', async () => {
    const [listed] = objects((await runCommand(['ls', '--json'])).stdout) as [
      { models: { name: string; numParameters: number; bytesBf16: number }[] },
    ];
    expect(listed.models.map(({ name }) => name)).toEqual(Object.keys(llamaPresets));
    for (const { numParameters, bytesBf16 } of listed.models) expect(bytesBf16).toBe(2 * numParameters);
  });

  test('lists the checkpoints of a run with step, size, losses and the best one', async () => {
    const { code, stdout } = await runCommand(['ls', output, '--json']);
    expect(code).toBe(0);
    const [{ checkpoints }] = objects(stdout) as [{ checkpoints: { evalLoss: number; isBest: boolean }[] }];
    const shape = { maxSteps: 4, numBytes: expect.any(Number), loss: expect.any(Number) };
    expect(checkpoints).toMatchObject([
      { path: join(output, 'checkpoint-2'), step: 2, ...shape },
      { path: join(output, 'checkpoint-4'), step: 4, ...shape },
    ]);
    const losses = checkpoints.map(({ evalLoss }) => evalLoss);
    expect(checkpoints.map(({ isBest }) => isBest)).toEqual(
      losses.map((loss) => loss === Math.min(...losses)),
    );
    const people = (await runCommand(['ls', output])).stdout;
    expect(people).toMatch(/^ {2}checkpoint-4 +4 of 4 +[\d.]+ KiB +\d\.\d{4} +\d\.\d{4} {2}best$/m);
  });

  test('says which checkpoint cannot be used, and lists the others', async () => {
    const { path, output: broken } = folder.recipe({ saveSteps: 2, saveTotalLimit: 0 });
    await runCommand(['train', path, '--quiet']);
    writeFileSync(join(broken, 'checkpoint-2', 'trainer.json'), '{');
    const { code, stdout } = await runCommand(['ls', broken]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/checkpoint-2 .*cannot be used: .*trainer\.json is not JSON/);
    expect(stdout).toMatch(/checkpoint-4 +4 of 4/);
  });

  test.each([
    ['a folder without any', (): string => folder.path, /holds no checkpoint/],
    ['no folder', (): string => join(folder.path, 'none'), /there is no folder/],
    ['a file', (): string => folder.corpus, /is a file/],
  ])('of %s is one sentence and what to do', async (_, path, sentence) => {
    const { code, stdout, stderr } = await runCommand(['ls', path()]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(sentence);
    expect(stderr).toMatch(/^ {2}remedy/m);
  });
});

describe('evaluate', () => {
  test('gives loss, perplexity and tokens of a text', async () => {
    const args = ['evaluate', output, '--data', folder.corpus, '--threads', '1'];
    const [report] = objects((await runCommand([...args, '--json'])).stdout) as [Record<string, number>];
    const { loss, perplexity, numTokens } = report;
    expect(report).toMatchObject({ type: 'evaluation', model: join(output, 'checkpoint-4'), step: 4 });
    expect(perplexity).toBeCloseTo(Math.exp(loss!), 6);
    const { code, stdout } = await runCommand(args);
    expect(code).toBe(0);
    expect(stdout).toContain(`loss ${loss!.toFixed(4)}, perplexity ${perplexity!.toFixed(2)}`);
    expect(stdout).toContain(`over ${numTokens!.toLocaleString('en')} tokens`);
  });

  test.each([
    ['no text', (): string[] => ['evaluate', output], /required option '-d, --data/],
    [
      'a text that is not there',
      (): string[] => ['evaluate', output, '-d', 'none.txt'],
      /none\.txt cannot be read/,
    ],
    ['no checkpoint', (): string[] => ['evaluate', 'none', '-d', folder.corpus], /none is not a checkpoint/],
  ])('refuses %s', async (_, args, sentence) => {
    const { code, stdout, stderr } = await runCommand(args());
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(sentence);
  });
});
