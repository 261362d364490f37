import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { objects, RecipeFolder } from './fixture-recipe.js';
import { hasTerminalProgram, runCommand, runOnTerminal } from './run-command.js';

// Each command is a process of its own, and test machines may be busy.
let folder: RecipeFolder;
beforeAll(() => void (folder = new RecipeFolder()));
afterAll(() => folder[Symbol.dispose]());

const recipe = (options?: Record<string, unknown>): { path: string; output: string } =>
  folder.recipe(options);

describe('train --json', () => {
  test('prints one object a line: start, steps, and the result last', async () => {
    const { path, output } = recipe();
    const { code, stdout, stderr } = await runCommand(['train', path, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = objects(stdout);
    expect(lines.map(({ type }) => type)).toEqual(['start', 'step', 'step', 'step', 'step', 'result']);
    expect(lines[1]).toMatchObject({ step: 1, loss: expect.any(Number), memory: expect.any(Object) });
    expect(lines.at(-1)).toMatchObject({ reason: 'completed', step: 4, interrupted: false });
    expect(readdirSync(output)).toContain('checkpoint-4');
  });

  test('with --quiet prints the result alone', async () => {
    const { stdout } = await runCommand(['train', recipe().path, '--json', '--quiet']);
    expect(objects(stdout).map(({ type }) => type)).toEqual(['result']);
  });

  test('takes flags over the recipe', async () => {
    const { path } = recipe();
    const args = ['--max-steps', '2', '--method', 'dense', '--set', 'data.validationFraction=0.2'];
    const { stdout } = await runCommand(['train', path, '--json', ...args]);
    expect(objects(stdout)[0]).toMatchObject({ method: { name: 'dense' } });
    expect(objects(stdout).at(-1)).toMatchObject({ step: 2 });
  });
});

describe('train for people', () => {
  test('prints plain lines into a pipe', async () => {
    const { code, stdout } = await runCommand(['train', recipe({ evalSteps: 2 }).path]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^step 1\/4 {2}loss \d\.\d+ {2}lr \S+ {2}\S+ tokens\/s {2}\S+ [KM]iB {2}ETA /m);
    expect(stdout).toMatch(/held out: loss/);
    expect(stdout).toMatch(/Saved .*checkpoint-4/);
    // No escape sequences, no overwritten lines.
    expect(stdout).not.toMatch(/[\x1b\r]/); // oxlint-disable-line no-control-regex
  });

  test('tells evaluations and saves whatever the logging steps are', async () => {
    const { stdout } = await runCommand([
      'train',
      recipe({ maxSteps: 5, loggingSteps: 100, evalSteps: 2, saveSteps: 3 }).path,
    ]);
    expect(stdout.match(/^ {2}held out after step (\d)|^ {2}saved \S+-\d$|^step \d/gm)).toEqual([
      'step 1',
      '  held out after step 2',
      expect.stringMatching(/saved .*checkpoint-3$/),
      '  held out after step 4',
      'step 5',
      '  held out after step 5',
    ]);
  });

  test('tells what may not be as the user thinks of the text', async () => {
    const { path } = recipe({ batchSize: 2000, maxSteps: 1, outputDirectory: null });
    const { stderr } = await runCommand(['train', path]);
    expect(stderr).toMatch(/^A step of 2000 sequences reads the whole training data \d\.\d times/);
    const [start] = objects((await runCommand(['train', path, '--json'])).stdout);
    expect(start).toMatchObject({ warnings: [expect.stringMatching(/^A step of 2000 sequences/)] });
  });

  test('prints nothing with --quiet', async () => {
    const { code, stdout, stderr } = await runCommand(['train', recipe().path, '--quiet']);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('colours when told to, never when told not to', async () => {
    const coloured = await runCommand(['train', recipe().path], { env: { FORCE_COLOR: '1' } });
    expect(coloured.stdout).toContain('\x1b[');
    const plain = await runCommand(['train', recipe().path], { env: { NO_COLOR: '1' } });
    expect(plain.stdout).not.toContain('\x1b[');
  });

  const onTerminal = hasTerminalProgram ? test : test.skip;
  if (!hasTerminalProgram) process.stderr.write('skipped: no `script` program to make a terminal with\n');

  onTerminal('draws a bar with time left, loss, rate and bytes on a terminal', async () => {
    const { code, stdout } = await runOnTerminal(['train', recipe({ maxSteps: 400 }).path]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/━+─* \d+\/400 {2}loss \d\.\d+ {2}ETA \S+( s)? {2}\S+ tokens\/s {2}\S+ [KM]iB/);
  });

  onTerminal('colours a terminal unless NO_COLOR is set', async () => {
    const sgr = /\x1b\[\d*m/; // oxlint-disable-line no-control-regex
    expect((await runOnTerminal(['inspect', '--help'])).stdout).toMatch(sgr);
    expect((await runOnTerminal(['inspect', '--help'], { env: { NO_COLOR: '1' } })).stdout).not.toMatch(sgr);
  });
});

describe('a reader that goes away', () => {
  test('does not end the work and leaves no noise', async () => {
    const { path, output } = recipe({ maxSteps: 50 });
    const { code, stderr } = await runCommand(['train', path], {
      onOutput: (_, child) => child.stdout!.destroy(),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(readdirSync(output)).toContain('checkpoint-50');
  });
});

describe('refusals', () => {
  test('a plan over the memory limit: code 3, remedies, nothing written', async () => {
    const { path, output } = recipe();
    const { code, stderr } = await runCommand(['train', path, '--memory-limit', '16KiB']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/ERR_COMPACT_DOES_NOT_FIT/);
    expect(existsSync(output)).toBe(false);
  });

  test('text shorter than one sequence: code 2, nothing written', async () => {
    const { path, output } = recipe({ sequenceLength: 2048, data: join(folder.path, 'short.txt') });
    writeFileSync(join(folder.path, 'short.txt'), 'too short');
    const { code, stderr } = await runCommand(['train', path]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/ERR_COMPACT_DATA_TOO_SHORT/);
    expect(existsSync(output)).toBe(false);
  });
});

describe('sample', () => {
  test('writes from a checkpoint, the same text for the same seed', async () => {
    const { path, output } = recipe();
    await runCommand(['train', path, '--quiet']);
    const args = ['sample', output, '--prompt', 'the ', '--max-new-tokens', '20', '--threads', '1'];
    const first = objects((await runCommand([...args, '--json'])).stdout)[0]!;
    const second = objects((await runCommand([...args, '--json'])).stdout)[0]!;
    expect(first).toMatchObject({ type: 'sample', prompt: 'the ', step: 4 });
    expect(second['text']).toBe(first['text']);
    const { code, stdout } = await runCommand(args);
    expect(code).toBe(0);
    expect(stdout.startsWith('the ')).toBe(true);
    const { code: wrong } = await runCommand([...args, '--top-p', '2']);
    expect(wrong).toBe(2);
  });
});
