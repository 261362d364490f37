/** `serve` as people and supervisors call it: a real server, real jobs. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { toFile } from 'openai';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';
import { runCommand, type CommandOutcome } from './run-command.js';

let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'compact-serve-'));
  mkdirSync(join(directory, 'models'));
  await writeModelFolder(join(directory, 'models', 'tiny'), modelOfBytes('llama3'));
});
const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

interface Started {
  readonly url: string;
  readonly key: string | undefined;
  end(signal?: NodeJS.Signals): Promise<CommandOutcome>;
}

/** Resolves with the line that says that the server is ready. */
function start(flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Started> {
  return new Promise((resolve, reject) => {
    let output = '';
    let child: ChildProcess | undefined;
    const args = [
      'serve',
      '--data-directory',
      directory,
      '--port',
      '0',
      '--memory-limit',
      '1GiB',
      '--json',
      ...flags,
    ];
    const outcome = runCommand(args, {
      env,
      onStart: (process) => started.push((child = process)),
      onOutput: (text) => {
        output += text;
        if (!output.includes('\n')) return;
        const end = (signal: NodeJS.Signals = 'SIGTERM'): Promise<CommandOutcome> => {
          child!.kill(signal);
          return outcome;
        };
        resolve({
          ...(JSON.parse(output) as { url: string; key?: string }),
          key: undefined,
          ...JSON.parse(output),
          end,
        });
      },
    });
    outcome.then(({ code, stderr }) => reject(new Error(`ended with ${code}: ${stderr}`)), reject);
  });
}

const clientOf = ({ url, key }: Pick<Started, 'url' | 'key'>): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: key!, maxRetries: 0 });

describe('serve', () => {
  test('trains what a client asks for, and ends with a signal so that all of it is there again', async () => {
    const server = await start();
    const client = clientOf(server);
    const lines = Array.from({ length: 12 }, (_, i) =>
      JSON.stringify({ prompt: `${i}=`, completion: `${i}` }),
    );
    const file = await client.files.create({
      file: await toFile(Buffer.from(lines.join('\n')), 'sums.jsonl'),
      purpose: 'fine-tune',
    });
    const body = {
      model: 'tiny',
      training_file: file.id,
      suffix: 'sums',
      hyperparameters: { n_epochs: 2, batch_size: 4 },
      compact: { sequenceLength: 16, device: 'cpu', loggingSteps: 1 },
    };
    const { id } = await client.fineTuning.jobs.create(body);
    let job = await client.fineTuning.jobs.retrieve(id);
    while (['queued', 'running'].includes(job.status)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      job = await client.fineTuning.jobs.retrieve(id);
    }
    expect(job).toMatchObject({ status: 'succeeded', error: null, fine_tuned_model: `ft:tiny:sums:${id}` });
    expect(job.trained_tokens).toBeGreaterThan(0);
    const metrics = await (await client.files.content(job.result_files[0]!)).text();
    expect(metrics.split('\n')[0]).toMatch(/^step,.*\btrain_loss\b/);
    const asked = { model: job.fine_tuned_model!, prompt: '3=', max_tokens: 4, temperature: 0 };
    const { text } = (await client.completions.create(asked)).choices[0]!;
    expect(await server.end()).toMatchObject({ code: 0, signal: null, stderr: '' });

    const again = await start();
    expect(again.key).not.toBe(server.key);
    const { status } = await fetch(`${again.url}/v1/files`, {
      headers: { authorization: `Bearer ${server.key}` },
    });
    expect(status).toBe(401);
    expect(await clientOf(again).fineTuning.jobs.retrieve(id)).toEqual(job);
    expect((await clientOf(again).completions.create(asked)).choices[0]!.text).toBe(text);
    expect((await again.end('SIGINT')).code).toBe(0);
    expect(readFileSync(join(directory, 'server.sqlite')).includes(again.key!.slice(11))).toBe(false);
  });

  test('other machines reach it with a key of ones own alone', async () => {
    const empty = join(directory, 'empty');
    const args = ['serve', '--data-directory', empty, '--port', '0', '--host', '0.0.0.0', '--json'];
    const refused = await runCommand(args);
    expect(refused.code).toBe(2);
    expect(refused.stdout).toContain('Set COMPACT_TRAIN_API_KEY');
    const short = await runCommand(args, { env: { COMPACT_TRAIN_API_KEY: 'short' } });
    expect(short.code).toBe(2);
    const key = 'k'.repeat(40);
    const server = await start(['--host', '0.0.0.0'], { COMPACT_TRAIN_API_KEY: key });
    expect(server.key).toBeUndefined();
    expect((await clientOf({ url: server.url, key }).files.list()).data).toEqual(expect.any(Array));
    await server.end();
  });

  test('of two on one folder the second is refused', async () => {
    const server = await start();
    const second = await runCommand(['serve', '--data-directory', directory, '--port', '0', '--json']);
    expect(second.code).toBe(2);
    expect(second.stdout).toContain('ERR_COMPACT_OUTPUT_LOCKED');
    await server.end();
  });

  test('a folder that is a file, and a port that is taken, are refused', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    expect((await runCommand(['serve', '--data-directory', file, '--json'])).code).not.toBe(0);
    const server = await start();
    const { port } = new URL(server.url);
    const other = await runCommand(['serve', '--data-directory', join(directory, 'other'), '--port', port]);
    expect(other).toMatchObject({ code: 2, stdout: '' });
    expect(other.stderr).toContain(`port ${port}`);
    await server.end();
  });
});
