/** The commands that write models for other programs: what they say, what they refuse, and that nothing is left behind. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byteTokenizer } from '../../lib/data/byte-tokenizer.js';
import { llama } from '../../lib/models/index.js';
import { writeModelFolder } from '../helpers/model-folder.js';
import { objects } from './fixture-recipe.js';
import { runCommand } from './run-command.js';

let folder: string;
let base: string;
const adapters = join(__dirname, '../fixtures/peft/plain');
const adaptersBase = join(__dirname, '../fixtures/pretrained/f32');
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compact-convert-'));
  base = await writeModelFolder(
    join(folder, 'base'),
    llama({
      ...{ vocabSize: byteTokenizer.vocabularySize, hiddenSize: 32, intermediateSize: 64 },
      ...{ numHiddenLayers: 1, numAttentionHeads: 2 },
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args: string[]) => runCommand(args, { cwd: folder });

test('convert writes shards of safetensors', async () => {
  const { code, stdout } = await run(
    ...['convert', base, 'sharded', '--to', 'safetensors', '--dtype', 'bf16', '--max-shard-size', '20kB'],
  );
  expect([code, stdout]).toEqual([0, 'sharded: 3 files of weights in bf16\n']);
});

test('convert writes a file of GGUF', async () => {
  const { code, stdout } = await run(
    'convert',
    base,
    'model.gguf',
    '--to',
    'gguf',
    '--dtype',
    'q8_0',
    '--json',
  );
  expect(code).toBe(0);
  expect(objects(stdout)).toEqual([
    {
      ...{ type: 'converted', to: 'gguf', file: 'model.gguf', dtype: 'q8_0', architecture: 'llama' },
      ...{ numMergedAdapters: 0, numBytes: expect.any(Number) },
    },
  ]);
});

test("merge adds PEFT's adapters to their base model", async () => {
  const { code, stdout } = await run('merge', adapters, 'merged', '--base', adaptersBase);
  expect([code, stdout]).toEqual([0, 'merged: model.safetensors in f32, 4 adapters merged\n']);
});

test.each<[string, () => string[], RegExp]>([
  [
    'a flag that the form has no use for',
    () => ['convert', base, 'x', '--to', 'gguf', '--max-shard-size', '1GB'],
    /gguf has no use for --max-shard-size/,
  ],
  [
    'blocks in a folder',
    () => ['convert', base, 'x', '--to', 'safetensors', '--dtype', 'q8_0'],
    /dtype is not possible .* expected one of f32, bf16, f16/,
  ],
  ['adapters that are not there', () => ['convert', base, 'x', '--to', 'peft'], /not a checkpoint/],
  [
    'an output that is there',
    () => ['merge', adapters, 'base', '--base', adaptersBase],
    /base is there already/,
  ],
  [
    'a base model that is not here',
    () => ['merge', adapters, 'x'],
    /pretrained\/f32, which is no folder of a model/,
  ],
])('%s is wrong usage', async (_, args, message) => {
  const { code, stderr } = await run(...args());
  expect([code, message.test(stderr.replaceAll(/\s+/g, ' '))]).toEqual([2, true]);
  expect(readdirSync(folder)).not.toContain('x');
});

test('a folder that cannot be written is a failure', async () => {
  const { code, stderr } = await run('convert', base, 'missing/model.gguf', '--to', 'gguf');
  expect([code, stderr]).toEqual([1, expect.stringMatching(/missing\/model\.gguf could not be written/)]);
});
