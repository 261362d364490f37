/** Files on their way in: checked line by line, bounded, and either whole on the disk or not there at all. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { RunningServer } from '../helpers/running-server.js';
import { ask, uploadForm, type Answer } from '../helpers/server-requests.js';

const limits = { fileBytes: 100_000, lineBytes: 10_000, fileLines: 50 };
let server: RunningServer;
let key: string;

beforeAll(async () => {
  server = await RunningServer.start(limits);
  key = await server.key();
});
afterAll(() => server[Symbol.asyncDispose]());

const send = (content: string | Buffer, name?: string): Promise<Answer> =>
  ask(server, 'POST /v1/files', { key, body: uploadForm(content, { ...(name && { name }) }) });
const refused = async (content: string | Buffer): Promise<object> => {
  const { status, body } = await send(content);
  expect(server.storedNames).toEqual([]);
  return { status, ...body.error };
};

describe('what is refused leaves nothing behind', () => {
  const good = '{"prompt":"a","completion":"b"}\n';
  test.each<[string, string | Buffer, string, RegExp, object?]>([
    ['a broken line', `${good}\n{"prompt":`, 'invalid_file_format', /records\.jsonl, line 3,/, { line: 3 }],
    [
      'a record of no kind',
      `${good}{"a":1}`,
      'invalid_file_format',
      /line 2, has the fields of no kind/,
      { line: 2 },
    ],
    ['another kind', `${good}{"text":"a"}`, 'invalid_file_format', /line 2, is of another kind/, { line: 2 }],
    ['an empty completion', '{"prompt":"a","completion":""}', 'invalid_file_format', /line 1/, { line: 1 }],
    ['no records', '\n\n', 'invalid_file_format', /no records/],
    ['no bytes', '', 'invalid_file_format', /no records/],
    ['bytes that are no text', Buffer.from([0x7b, 0xff, 0xfe]), 'invalid_file_format', /UTF-8/],
    ['a compressed file', gzipSync(good), 'invalid_file_format', /compressed/],
    [
      'a long line',
      `{"text":"${'x'.repeat(10_000)}"}`,
      'invalid_file_format',
      /Line 1 has more/,
      { line: 1 },
    ],
    ['too many lines', good.repeat(51), 'file_too_large', /50 lines/],
    [
      'too many bytes',
      `${good.slice(0, -2)}${' '.repeat(9000)}}\n`.repeat(20),
      'file_too_large',
      /100000 bytes/,
    ],
  ])('%s', async (_, ...[content, code, message, details]) => {
    expect(await refused(content)).toMatchObject({
      code,
      param: 'file',
      message: expect.stringMatching(message),
      ...(details && { details }),
    });
  });

  test.each<[string, FormData, string]>([
    ['no file', new FormData(), 'file'],
    ['another part', uploadForm(good, {}), 'extra'],
    ['no purpose', uploadForm(good), 'purpose'],
  ])('a form with %s', async (_, form, param) => {
    if (param === 'file') form.append('purpose', 'fine-tune');
    if (param === 'extra') form.append('extra', '1');
    if (param === 'purpose') form.delete('purpose');
    const { status, body } = await ask(server, 'POST /v1/files', { key, body: form });
    expect({ status, param: body.error?.param }).toEqual({ status: 400, param });
    expect(server.storedNames).toEqual([]);
  });

  test('what is no form', async () => {
    const { status, body } = await ask(server, 'POST /v1/files', { key, json: {} });
    expect({ status, code: body.error?.code }).toEqual({ status: 415, code: 'unsupported_media_type' });
  });

  test('a client that goes away in the middle', async () => {
    const { port } = new URL(server.url);
    const upload = request({
      port,
      method: 'POST',
      path: '/v1/files',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'multipart/form-data; boundary=b',
        'content-length': 50_000,
      },
    });
    upload.on('error', () => undefined);
    const head = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n';
    upload.write(head + '{"text":"a"}\n'.repeat(30));
    while (server.storedNames.length === 0) await sleep(5);
    upload.destroy();
    while (server.storedNames.length > 0) await sleep(5);
    const answer = await ask(server, 'GET /v1/files', { key });
    expect(answer.body['data']).toEqual([]);
  });
});

describe('a name is data', () => {
  test.each(['../../escaped.jsonl', '/etc/passwd', 'a\\b.jsonl', 'ünïcode 😀.jsonl', '$(id).jsonl'])(
    '%j',
    async (name) => {
      const content = `{"text":${JSON.stringify(name)}}\n`;
      const { status, body } = await send(content, name);
      expect(status).toBe(200);
      const id = String(body['id']);
      expect(server.storedNames).toEqual([id]);
      expect(readFileSync(join(server.directory, 'files', id), 'utf8')).toBe(content);
      expect(existsSync(join(server.directory, '..', 'escaped.jsonl'))).toBe(false);
      await ask(server, `DELETE /v1/files/${id}`, { key });
      expect(server.storedNames).toEqual([]);
    },
  );
});

test('what a server that was killed has left goes at the next start, and what is kept stays', async () => {
  const { body } = await send('{"text":"a"}');
  const { FileStore } = await import('../../lib/server/files/file-store.js');
  const { utimesSync, writeFileSync } = await import('node:fs');
  const folder = join(server.directory, 'files');
  for (const name of ['file-old', 'file-new']) writeFileSync(join(folder, name), '');
  utimesSync(join(folder, 'file-old'), 0, 0);
  utimesSync(join(folder, String(body['id'])), 0, 0);
  await FileStore.open(folder, server.database);
  expect([...server.storedNames].sort()).toEqual([String(body['id']), 'file-new'].sort());
});
