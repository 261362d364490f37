/** Records with labels: at their upload nobody knows what those mean, and a job that is created says it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type * as source from '../../lib/server/index.js';
import { built } from '../helpers/built.js';
import { modelOfBytes, writeModelFolder } from '../helpers/model-folder.js';
import { ask, upload, uploadForm, type Answer } from '../helpers/server-requests.js';

const { createServer, KeyStore, openJobService, openServerDatabase } = built('server/index') as typeof source;

let directory: string;
let database: source.Database;
let jobs: source.JobQueue;
let app: FastifyInstance;
let server: { readonly url: string };
let key: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'compact-labels-'));
  mkdirSync(join(directory, 'models'));
  await writeModelFolder(join(directory, 'models', 'encoder'), modelOfBytes('bert'));
  database = await openServerDatabase(directory);
  const devices = [{ name: 'cpu', memoryBytes: 4 * 2 ** 30 }];
  jobs = await openJobService(directory, database, { devices });
  app = await createServer({ dataDirectory: directory, jobs, database });
  server = { url: await app.listen({ host: '127.0.0.1', port: 0 }) };
  key = (await new KeyStore(database).create()).secret;
});
afterAll(async () => {
  await app.close();
  await jobs.close({ graceMs: 0 });
  await database.close();
  rmSync(directory, { recursive: true, force: true });
});

const labelled = (labels: readonly unknown[]): readonly object[] =>
  labels.map((label, i) => ({ text: `is ${i}`, label }));
const good = labelled(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 'good' : 'bad')));

/** Creates a job; the refusal, or the job's status. */
async function create(records: readonly object[], data: object, validation?: readonly object[]) {
  const file = await upload(server, key, records);
  const json = {
    model: 'encoder',
    training_file: file,
    ...(validation && { validation_file: await upload(server, key, validation) }),
    compact: { maxSteps: 1, batchSize: 2, sequenceLength: 12, data },
  };
  return { file, ...(await ask(server, 'POST /v1/fine_tuning/jobs', { key, json })) };
}
const count = async (): Promise<unknown> =>
  (await ask(server, 'GET /v1/compact/status', { key })).body['jobs'];

describe('at their upload', () => {
  const send = (records: readonly object[]): Promise<Answer> =>
    ask(server, 'POST /v1/files', {
      key,
      body: uploadForm(records.map((record) => JSON.stringify(record)).join('\n')),
    });

  test.each<[string, readonly object[]]>([
    ['names', good],
    ['numbers', labelled([0, 1])],
    ['numbers that are to be predicted', labelled([-0.5, 3.25])],
    [
      'lists of names',
      [
        { text: 'a', labels: ['x', 'y'] },
        { text: 'b', labels: [] },
      ],
    ],
  ])('%s are taken', async (_, records) => {
    expect(await send(records)).toMatchObject({
      status: 200,
      body: { status_details: `${records.length} records of the kind labels` },
    });
  });

  test.each<[string, object]>([
    ['a list in the place of one', { text: 'a', label: ['x'] }],
    ['an empty name', { text: 'a', label: '' }],
    ['a number that is too large', { text: 'a', label: 1e300 }],
    ['one named twice', { text: 'a', labels: ['x', 'x'] }],
    ['both forms', { text: 'a', label: 'x', labels: ['x'] }],
  ])('%s is refused with its line', async (_, record) => {
    expect((await send([...labelled(['x']), record])).body.error).toMatchObject({
      code: 'invalid_file_format',
      message: expect.stringContaining('records.jsonl, line 2'),
      details: { line: 2 },
    });
  });
});

describe('a job', () => {
  test('that names their classes is created', async () => {
    const { status, body } = await create(good, { classes: ['bad', 'good'] });
    expect([status, body.error]).toEqual([200, null]);
    await ask(server, `POST /v1/fine_tuning/jobs/${String(body['id'])}/cancel`, { key });
  });

  test.each<[string, readonly object[], object, RegExp, number]>([
    [
      'that names others',
      [...good, ...labelled(['god'])],
      { classes: ['bad', 'good'] },
      /Did you mean good/,
      13,
    ],
    ['that names none', good, {}, /Name the classes/, 1],
    ['that has fewer', labelled([0, 1, 2, 1]), { classes: 2 }, /whole number from 0 to 1/, 3],
    ['that predicts numbers', labelled([0.5, 1, 'x']), { regression: true }, /no number in `label`/, 3],
  ])('%s is refused with the line, and is none', async (_, records, data, message, line) => {
    const before = await count();
    const { file, status, body } = await create(records, data);
    expect({ status, ...body.error }).toMatchObject({
      status: 400,
      code: 'invalid_file_format',
      param: 'training_file',
      message: expect.stringMatching(message),
      details: { line },
    });
    expect(body.error!.message).toContain(`${file}, line ${line}`);
    expect(await count()).toEqual(before);
  });

  test('whose validation file has others is refused with its line', async () => {
    const { status, body } = await create(good, { classes: ['bad', 'good'] }, labelled(['bad', 'better']));
    expect({ status, ...body.error }).toMatchObject({
      status: 400,
      code: 'invalid_file_format',
      details: { line: 2 },
    });
  });
});
