/** Models that are trained from scratch, as folders like those of any model. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SafetensorsFile } from '../../lib/formats/index.js';
import { presetModelFolder } from '../../lib/jobs/preset-model.js';
import { objects } from '../cli/fixture-recipe.js';
import { runCommand } from '../cli/run-command.js';
import { become, isStatus, JobQueue, owner, weightsOf } from '../helpers/job-fixture.js';
import { MemoryJobStore } from '../helpers/memory-job-store.js';

let folder: string;
let chats: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'compact-presets-'));
  chats = join(folder, 'chats.jsonl');
  const chat = (i: number) => ({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: `What is ${i}?` },
      { role: 'assistant', content: `${i}` },
    ],
  });
  writeFileSync(chats, Array.from({ length: 20 }, (_, i) => JSON.stringify(chat(i))).join('\n'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('have weights that a seed draws, in the numbers that the model begins with', async () => {
  const made = await presetModelFolder(join(folder, 'one'), { preset: 'llama-demo' });
  expect(await presetModelFolder(join(folder, 'one'), { preset: 'llama-demo', seed: 42 })).toBe(made);
  const again = await presetModelFolder(join(folder, 'two'), { preset: 'llama-demo' });
  const other = await presetModelFolder(join(folder, 'two'), { preset: 'llama-demo', seed: 43 });
  expect(weightsOf(again)).toEqual(weightsOf(made));
  expect(weightsOf(other)).not.toEqual(weightsOf(made));
  await using file = await SafetensorsFile.open(join(made, 'model.safetensors'));
  const name = 'model.layers.0.mlp.up_proj.weight';
  const bytes = new Uint8Array(192 * 512 * 4);
  await file.readInto(name, bytes, 0);
  const values = new Float32Array(bytes.buffer);
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  const { initializer_range: expected } = JSON.parse(readFileSync(join(made, 'config.json'), 'utf8')) as {
    initializer_range: number;
  };
  expect(deviation / expected).toBeCloseTo(1, 1);
});

test('learn of a conversation what the assistant says, and its end', async () => {
  const made = await presetModelFolder(join(folder, 'one'), { preset: 'llama-demo' });
  const { code, stdout } = await runCommand(['data', 'preview', chats, '-m', made, '--json']);
  expect(code).toBe(0);
  const [record] = objects(stdout) as [{ ids: readonly number[]; counts: readonly number[] }];
  const textOf = (ids: readonly number[]): string =>
    ids.map((id) => (id === 256 ? '<end>' : String.fromCharCode(id))).join('');
  expect(textOf(record.ids)).toBe('<|system|>\nBe brief.\n<|user|>\nWhat is 0?\n<|assistant|>\n0<end>\n');
  expect(textOf(record.ids.filter((_, i) => record.counts[i]! > 0))).toBe('0<end>');
});

test('are trained by jobs, which end in a folder that the command line trains as well', async () => {
  const directory = join(folder, 'queue');
  const devices = [{ name: 'cpu', memoryBytes: 4 * 2 ** 30 }];
  await using queue = await JobQueue.open({ store: new MemoryJobStore(), directory, devices });
  const recipe = { model: { preset: 'llama-demo', seed: 7 }, data: chats, maxSteps: 2, threads: 1 };
  const { id } = await queue.create({ recipe, owner, priority: 0, details: {} });
  const { result } = await become(queue, id, isStatus('succeeded'));
  const output = join(folder, 'by-command');
  const model = join(directory, 'presets', 'llama-demo-7');
  const args = ['finetune', model, '-d', chats, '-o', output, '-n', '2', '-t', '1', '--json'];
  expect((await runCommand(args)).code).toBe(0);
  expect(weightsOf(join(queue.folder(id), result!.folder!))).toEqual(weightsOf(join(output, 'model-2')));
});
