/** The examples of servers, as they stand in examples/server, with the built package. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';

const root = join(__dirname, '..', '..');
const examples = join(root, 'examples', 'server');
let folder: string;
let model: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compact-examples-'));
  model = await writeModelFolder(join(folder, 'base'), modelOfBytes('llama3'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a module that uses an example; what it prints is JSON. */
async function use(body: string, env: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', body], {
    cwd: examples,
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout);
}

const until = `
  const until = async (ask) => {
    for (;;) {
      const found = await ask();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };`;

test('fastify: the API beside the routes of a server', async () => {
  const found = await use(`
    import { createApp } from './fastify.mjs';
    const { app, keys } = await createApp(${JSON.stringify(join(folder, 'fastify'))});
    const { secret } = await keys.create();
    const get = async (url, headers) => (await app.inject({ url, headers })).json();
    const hello = await get('/hello', {});
    const refused = await get('/v1/models', {});
    const { data } = await get('/v1/models', { authorization: 'Bearer ' + secret });
    await app.close();
    console.log(JSON.stringify([hello, refused.error.code, data.some(({ id }) => id === 'llama-demo')]));`);
  expect(found).toEqual([{ hello: 'world' }, 'invalid_api_key', true]);
});

test('express: a training from records to its end', async () => {
  const found = await use(
    `${until}
    import { createApp } from './express.mjs';
    const { app, close } = await createApp(${JSON.stringify(join(folder, 'express'))});
    const server = app.listen(0);
    const url = 'http://127.0.0.1:' + server.address().port;
    const records = Array.from({ length: 8 }, (_, i) => ({ prompt: i + ' + 1 =', completion: ' ' + (i + 1) }));
    const post = async (body) => {
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
      const response = await fetch(url + '/trainings', init);
      return [response.status, await response.json()];
    };
    const [status, { id, plannedBytes }] = await post({ model: process.env.MODEL, records });
    const refused = await post({ model: process.env.MODEL, records: [{ prompt: 'a' }] });
    const end = await until(async () => {
      const job = await (await fetch(url + '/trainings/' + id)).json();
      return ['succeeded', 'failed'].includes(job.status) ? job : undefined;
    });
    server.close();
    await close();
    console.log(JSON.stringify({ status, plannedBytes, refused: [refused[0], refused[1].code], end }));`,
    { MODEL: model },
  );
  expect(found).toEqual({
    status: 201,
    plannedBytes: expect.any(Number),
    refused: [400, 'ERR_COMPACT_DATA_RECORD'],
    end: expect.objectContaining({ status: 'succeeded', loss: expect.any(Number) }),
  });
});

test('next: a route learns from corrections, and answers', async () => {
  const found = (await use(
    `
    import { POST, PUT } from './next-route.mjs';
    const ask = async (handler, body) => {
      const response = await handler(new Request('http://server', { method: 'POST', body: JSON.stringify(body) }));
      return response.json();
    };
    const correction = { prompt: 'a b', completion: ' c d' };
    const losses = [];
    for (let i = 0; i < 3; i++) losses.push((await ask(PUT, correction)).loss);
    const { text } = await ask(POST, { prompt: 'a b' });
    const refused = await ask(PUT, { prompt: 'a b' });
    await (await globalThis.session).close();
    console.log(JSON.stringify({ losses, text, refused: refused.code }));`,
    { MODEL: model },
  )) as { losses: number[]; text: string; refused: string };
  expect(found.losses[2]).toBeLessThan(found.losses[0]!);
  expect(typeof found.text).toBe('string');
  expect(found.refused).toBe('ERR_COMPACT_DATA_RECORD');
});
