/** Who may do what, and what nobody gets to see. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { securityHeaders } from '../../lib/server/hooks/security-headers.js';
import { scopes, type Scope } from '../../lib/server/keys/scopes.js';
import { RunningServer } from '../helpers/running-server.js';
import { ask, upload } from '../helpers/server-requests.js';

let server: RunningServer;
let mine: string;
let theirs: string;
let file: string;
let job: string;

beforeAll(async () => {
  server = await RunningServer.start();
  mine = await server.key({ owner: 'me' });
  theirs = await server.key({ owner: 'them' });
  const folder = join(server.directory, 'models', 'tiny');
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), '{}');
  file = await upload(server, mine);
  const { body } = await ask(server, 'POST /v1/fine_tuning/jobs', {
    key: mine,
    json: { model: 'tiny', training_file: file, suffix: 'x' },
  });
  job = String(body['id']);
  server.jobs.start(job);
  server.jobs.step(job, 2, { loss: 1 });
  server.jobs.succeed(job, { folder: 'model-2', step: 2 });
});
afterAll(() => server[Symbol.asyncDispose]());

/** As `ask` with my key, but for the path: fetch would resolve its dots. */
function askAsWritten(line: string): Promise<{ readonly status: number; readonly text: string }> {
  const [method, path] = line.split(' ') as [string, string];
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const sent = request({ port, method, path, headers: { authorization: `Bearer ${mine}` } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode!, text }));
    });
    sent.on('error', reject).end();
  });
}

/** Routes with the scope that each asks for. */
const routes: readonly (readonly [string, Scope])[] = [
  ['GET /v1/models', 'read'],
  ['GET /v1/models/none', 'read'],
  ['GET /v1/files', 'read'],
  ['GET /v1/files/none', 'read'],
  ['GET /v1/files/none/content', 'read'],
  ['POST /v1/files', 'files'],
  ['DELETE /v1/files/none', 'files'],
  ['DELETE /v1/models/none', 'files'],
  ['POST /v1/fine_tuning/jobs', 'jobs'],
  ['POST /v1/fine_tuning/plan', 'jobs'],
  ['GET /v1/fine_tuning/jobs', 'read'],
  ['GET /v1/fine_tuning/jobs/none', 'read'],
  ['POST /v1/fine_tuning/jobs/none/cancel', 'jobs'],
  ['POST /v1/fine_tuning/jobs/none/pause', 'jobs'],
  ['POST /v1/fine_tuning/jobs/none/resume', 'jobs'],
  ['GET /v1/fine_tuning/jobs/none/events', 'read'],
  ['GET /v1/fine_tuning/jobs/none/checkpoints', 'read'],
  ['GET /v1/compact/jobs/none/events/stream', 'read'],
  ['GET /v1/compact/jobs/none/export', 'read'],
  ['POST /v1/chat/completions', 'generate'],
  ['POST /v1/completions', 'generate'],
  ['POST /v1/compact/keys', 'admin'],
  ['GET /v1/compact/keys', 'admin'],
  ['DELETE /v1/compact/keys/none', 'admin'],
  ['GET /v1/compact/status', 'read'],
  ['GET /metrics', 'read'],
];

describe('keys', () => {
  test('the list has every route', () => {
    const printed = server.app.printRoutes({ commonPrefix: false });
    const ofApi = printed.split('\n').filter((line) => !/dashboard|── \/ /.test(line));
    const methods = [...ofApi.join('\n').matchAll(/\b(GET|POST|DELETE)\b/g)].length;
    expect(methods).toBe(routes.length + 2); // those without a key
  });

  test.each(routes)('%s needs %s', async (line, scope) => {
    expect((await ask(server, line)).status).toBe(401);
    const others = scopes.filter((one) => one !== scope);
    const [with_, without] = [await server.key({ scopes: [scope] }), await server.key({ scopes: others })];
    expect((await ask(server, line, { key: without })).body.error?.code).toBe('insufficient_scope');
    expect([401, 403]).not.toContain((await ask(server, line, { key: with_ })).status);
  });

  test.each<[string, Record<string, string>]>([
    ['none', {}],
    ['another scheme', { authorization: 'Basic YTpi' }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['a wrong one', { authorization: `Bearer sk-compact-${'a'.repeat(43)}` }],
    ['a very long one', { authorization: `Bearer ${'a'.repeat(4000)}` }],
  ])('%s is refused', async (_, headers) => {
    const { status, body, headers: answered } = await ask(server, 'GET /v1/files', { headers });
    expect({ status, code: body.error?.code }).toEqual({ status: 401, code: 'invalid_api_key' });
    expect(answered.get('www-authenticate')).toBe('Bearer');
  });

  test('a key that differs in its last letter is refused', async () => {
    const other = mine.slice(0, -1) + (mine.endsWith('A') ? 'B' : 'A');
    expect((await ask(server, 'GET /v1/files', { key: other })).status).toBe(401);
  });

  test('are made, listed without their text, and revoked', async () => {
    const admin = await server.key({ scopes: ['admin'] });
    const json = { owner: 'me', name: 'second', scopes: ['read'], max_jobs: 1 };
    const made = await ask(server, 'POST /v1/compact/keys', { key: admin, json });
    const { secret, id } = made.body as { secret: string; id: string };
    expect((await ask(server, `GET /v1/files/${file}`, { key: secret })).status).toBe(200);
    const listed = await ask(server, 'GET /v1/compact/keys', { key: admin });
    expect(listed.body['data']).toContainEqual(expect.objectContaining({ id, ...json }));
    expect(listed.text).not.toContain(secret);
    expect((await ask(server, `DELETE /v1/compact/keys/${id}`, { key: admin })).status).toBe(200);
    expect((await ask(server, 'GET /v1/files', { key: secret })).status).toBe(401);
  });

  test('no key stands in the database or in the log', async () => {
    const rows = await server.database.query('SELECT * FROM server_keys');
    const stored = JSON.stringify(rows);
    expect(rows.length).toBeGreaterThan(2);
    for (const secret of [mine, theirs]) {
      expect(stored).not.toContain(secret.slice(11));
      expect(server.log.join('')).not.toContain(secret.slice(11));
    }
  });

  test('of somebody are short of nothing that could be guessed', async () => {
    await expect(server.keys.create({}, 'hunter2')).rejects.toMatchObject({ code: 'ERR_COMPACT_ARGUMENT' });
    const { secret } = await server.keys.create({}, 'a'.repeat(32));
    expect((await ask(server, 'GET /v1/files', { key: secret })).status).toBe(200);
  });
});

describe('what is of others is as what does not exist', () => {
  const none = 'none';
  test.each<[string, (id: string) => string, () => string]>([
    ['a file', (id) => `GET /v1/files/${id}`, () => file],
    ['its content', (id) => `GET /v1/files/${id}/content`, () => file],
    ['its deletion', (id) => `DELETE /v1/files/${id}`, () => file],
    ['a job', (id) => `GET /v1/fine_tuning/jobs/${id}`, () => job],
    ['its end', (id) => `POST /v1/fine_tuning/jobs/${id}/cancel`, () => job],
    ['its pause', (id) => `POST /v1/fine_tuning/jobs/${id}/pause`, () => job],
    ['its going on', (id) => `POST /v1/fine_tuning/jobs/${id}/resume`, () => job],
    ['its events', (id) => `GET /v1/fine_tuning/jobs/${id}/events`, () => job],
    ['its checkpoints', (id) => `GET /v1/fine_tuning/jobs/${id}/checkpoints`, () => job],
    ['their stream', (id) => `GET /v1/compact/jobs/${id}/events/stream`, () => job],
    ['its export', (id) => `GET /v1/compact/jobs/${id}/export`, () => job],
    ['its model', (id) => `GET /v1/models/${encodeURIComponent(`ft:tiny:x:${id}`)}`, () => job],
    ['its results', (id) => `GET /v1/files/file-result-${id}`, () => job],
    ['a page after a job', (id) => `GET /v1/fine_tuning/jobs?after=${id}`, () => job],
    ['a page after a file', (id) => `GET /v1/files?after=${id}`, () => file],
  ])('%s', async (_, line, id) => {
    const [other, unknown] = await Promise.all([
      ask(server, line(id()), { key: theirs }),
      ask(server, line(none), { key: theirs }),
    ]);
    expect(other.status).toBe(404);
    expect(other.text.replaceAll(id(), none)).toBe(unknown.text);
    expect([...other.headers.keys()]).toEqual([...unknown.headers.keys()]);
  });

  test('nor is it listed, or used', async () => {
    for (const path of ['files', 'fine_tuning/jobs'])
      expect((await ask(server, `GET /v1/${path}`, { key: theirs })).body['data']).toEqual([]);
    expect((await ask(server, 'GET /v1/models', { key: theirs })).text).not.toContain(job);
    const json = { model: 'tiny', training_file: file };
    const answer = await ask(server, 'POST /v1/fine_tuning/jobs', { key: theirs, json });
    expect(answer.body.error).toMatchObject({ code: 'file_not_found', param: 'training_file' });
  });
});

describe('no path of a client is one of the server', () => {
  const paths = [
    '../models/tiny',
    '..%2F..%2Fetc%2Fpasswd',
    '%2Fetc%2Fpasswd',
    '%00',
    '.',
    '..',
    'a%0Ab',
    '%ff',
  ];
  const lines = paths.flatMap((path) => [
    `GET /v1/files/${path}`,
    `GET /v1/files/${path}/content`,
    `GET /v1/models/${path}`,
    `GET /v1/compact/jobs/${path}/export`,
    `GET /v1/fine_tuning/jobs/${path}`,
  ]);
  test.each(lines)('%s', async (line) => {
    const { status, text } = await askAsWritten(line);
    expect([400, 404]).toContain(status);
    expect(JSON.parse(text)).toEqual({ error: expect.any(Object) });
  });

  test.each(['../tiny', 'tiny/', './tiny', '/etc', __dirname, 'tiny/../tiny', 'ft:tiny:x:../job', '.'])(
    'the model %s',
    async (model) => {
      const json = { model, training_file: file };
      const { body } = await ask(server, 'POST /v1/fine_tuning/jobs', { key: mine, json });
      expect(body.error?.code).toBe('model_not_found');
    },
  );
});

test('every answer has the headers of safety, and an id that the log has', async () => {
  for (const line of ['GET /v1/models', 'GET /v1/none', 'GET /livez', 'GET /v1/files/%ff']) {
    const { headers } = await ask(server, line, { key: mine });
    for (const [name, value] of Object.entries(securityHeaders))
      expect([name, headers.get(name)]).toEqual([name, value]);
    expect(server.log.join('')).toContain(headers.get('x-request-id')!);
  }
});

test('health needs no key', async () => {
  for (const line of ['GET /livez', 'GET /readyz']) expect((await ask(server, line)).status).toBe(200);
});

test('what changes something is remembered, with who did it; what reads is not', async () => {
  const other = await server.key({ owner: 'auditor' });
  const id = await upload(server, other);
  await ask(server, `GET /v1/files/${id}`, { key: other });
  await ask(server, `DELETE /v1/files/${id}`, { key: other });
  const read = (): Promise<readonly object[]> =>
    server.database.query(
      "SELECT action, subject, status FROM server_audit WHERE owner = 'auditor' ORDER BY id",
    );
  while ((await read()).length < 2) await new Promise(setImmediate);
  expect(await read()).toEqual([
    { action: 'POST /v1/files', subject: '', status: 200 },
    { action: 'DELETE /v1/files/:id', subject: id, status: 200 },
  ]);
});
