/** Every error that a client can be told, in the one shape that they have. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { compactError } from '../../lib/errors.js';
import { apiErrors, type ApiErrorCode } from '../../lib/server/index.js';
import { RunningServer } from '../helpers/running-server.js';
import { ask, upload, uploadForm, type Answer, type RequestOptions } from '../helpers/server-requests.js';

const limits = { bodyBytes: 4096, fileBytes: 2000, fileLines: 20, plans: 1 };
let server: RunningServer;
let key: string;
let file: string;

beforeAll(async () => {
  server = await RunningServer.start(limits);
  key = await server.key({ maxFileBytes: 2500 });
  const folder = join(server.directory, 'models', 'tiny');
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), '{}');
  file = await upload(server, key);
});
afterAll(() => server[Symbol.asyncDispose]());

const post = (path: string, options: RequestOptions): Promise<Answer> =>
  ask(server, `POST ${path}`, { key, ...options });
const job = (changes: object = {}): Promise<Answer> =>
  post('/v1/fine_tuning/jobs', { json: { model: 'tiny', training_file: file, ...changes } });
const refusedPlan = async (error: Error): Promise<Answer> => {
  server.jobs.refusal = error;
  try {
    return await job();
  } finally {
    server.jobs.refusal = undefined;
  }
};

const cases: Record<ApiErrorCode, () => Promise<Answer>> = {
  invalid_json: () =>
    post('/v1/fine_tuning/jobs', { body: '{', headers: { 'content-type': 'application/json' } }),
  invalid_value: () => job({ seed: '7' }),
  missing_required_parameter: () => post('/v1/fine_tuning/jobs', { json: { model: 'tiny' } }),
  unknown_parameter: () => job({ sufix: 'mine' }),
  unsupported_purpose: () => post('/v1/files', { body: uploadForm('{"text":"a"}', { purpose: 'batch' }) }),
  invalid_file_format: () => post('/v1/files', { body: uploadForm('{"text":"a"}\n{"text":') }),
  invalid_api_key: () => ask(server, 'GET /v1/files', { key: 'sk-compact-wrong' }),
  insufficient_scope: () => post('/v1/compact/keys', { json: {} }),
  unknown_url: () => ask(server, 'GET /v1/none', { key }),
  model_not_found: () => job({ model: 'none' }),
  file_not_found: () => job({ training_file: 'file-none' }),
  job_not_found: () => ask(server, 'GET /v1/fine_tuning/jobs/none', { key }),
  key_not_found: async () =>
    ask(server, 'DELETE /v1/compact/keys/none', { key: await server.key({ scopes: ['admin'] }) }),
  job_state: async () => {
    const { body } = await job();
    const cancel = (): Promise<Answer> => post(`/v1/fine_tuning/jobs/${String(body['id'])}/cancel`, {});
    await cancel();
    return cancel();
  },
  file_in_use: async () => {
    const { body } = await job();
    const answer = await ask(server, `DELETE /v1/files/${file}`, { key });
    await post(`/v1/fine_tuning/jobs/${String(body['id'])}/cancel`, {});
    return answer;
  },
  model_in_use: async () => {
    const { body } = await job();
    const { id } = server.jobs.succeed(String(body['id']), { folder: 'model-1', step: 1 });
    const model = `ft:tiny::${id}`;
    const user = (await job({ model })).body['id'];
    const answer = await ask(server, `DELETE /v1/models/${model}`, { key });
    await post(`/v1/fine_tuning/jobs/${String(user)}/cancel`, {});
    return answer;
  },
  request_too_large: () => job({ metadata: { a: 'x'.repeat(5000) } }),
  file_too_large: () => post('/v1/files', { body: uploadForm(`{"text":"${'x'.repeat(2000)}"}`) }),
  unsupported_media_type: () =>
    post('/v1/fine_tuning/jobs', { body: 'a', headers: { 'content-type': 'text/csv' } }),
  does_not_fit: () =>
    refusedPlan(
      compactError('ERR_COMPACT_DOES_NOT_FIT', 'the plan does not fit into memory', {
        op: 'memoryLimitBytes',
        expected: 'at most 1 MiB',
        received: 'a peak of 2 MiB',
        remedy: 'batchSize: 1 needs 1 MiB',
        details: { peakBytes: 2 ** 21, remedies: [{ change: { batchSize: 1 }, peakBytes: 2 ** 20 }] },
      }),
    ),
  jobs_limit: async () => {
    const poor = await server.key({ maxJobs: 0 });
    const training = await upload(server, poor);
    return post('/v1/fine_tuning/jobs', { key: poor, json: { model: 'tiny', training_file: training } });
  },
  storage_limit: async () => {
    const body = (): FormData => uploadForm(`{"text":"${'x'.repeat(1500)}"}`);
    const other = await server.key({ maxFileBytes: 2500 });
    await post('/v1/files', { key: other, body: body() });
    return post('/v1/files', { key: other, body: body() });
  },
  too_many_requests: async () => {
    let open = (): void => {};
    server.jobs.gate = new Promise((resolve) => (open = resolve));
    const before = server.jobs.numPlans;
    const first = job();
    while (server.jobs.numPlans === before) await setImmediate();
    const second = await job();
    open();
    server.jobs.gate = undefined;
    await first;
    return second;
  },
  server_error: () => refusedPlan(new Error(`a fault at ${server.directory}`)),
  package_missing: () =>
    refusedPlan(compactError('ERR_COMPACT_PACKAGE_MISSING', 'it needs the package some-package')),
  unavailable: () => refusedPlan(compactError('ERR_COMPACT_STORE', `${server.directory} is full`)),
};

test.each(Object.entries(cases))('%s', async (code, provoke) => {
  const { status, type } = apiErrors[code as ApiErrorCode];
  const answer = await provoke();
  expect({ status: answer.status, error: answer.body.error }).toEqual({
    status,
    error: {
      message: expect.stringMatching(/^[A-Z{"a-z].{10,}/s),
      type,
      param: answer.body.error?.param ?? null,
      code,
      ...(answer.body.error?.details && { details: expect.any(Object) }),
    },
  });
  expect(Object.keys(answer.body)).toEqual(['error']);
  expect(answer.text).not.toContain(server.directory);
  expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
});

test('a job that does not fit is refused with what would', async () => {
  const { body } = await cases.does_not_fit();
  expect(body.error).toMatchObject({
    param: 'memoryLimitBytes',
    details: { peakBytes: 2 ** 21, remedies: [{ change: { batchSize: 1 } }] },
  });
});

test('of a fault of the server the log tells more than the client is told', async () => {
  const { headers } = await cases.server_error();
  const line = server.log.find(
    (text) => text.includes(headers.get('x-request-id')!) && text.includes('a fault'),
  );
  expect(line).toContain('a fault at');
});

describe('what is wrong is named', () => {
  test.each<[string, object, string, RegExp]>([
    ['a text for a number', { seed: '7' }, 'seed', /a whole number from 0 to 2\^53 - 1; received "7"/],
    ['a name that is nearly known', { sufix: 'a' }, 'sufix', /Did you mean 'suffix'\?/],
    [
      'a number out of its range',
      { hyperparameters: { n_epochs: 0 } },
      'hyperparameters.n_epochs',
      /passes over the training file.*received 0/,
    ],
    ['another method', { method: { type: 'reinforcement' } }, 'method.type', /'supervised' or 'dpo'/],
    [
      'numbers of another method',
      { method: { type: 'supervised', dpo: {} } },
      'method.dpo',
      /says nothing of the method supervised/,
    ],
    [
      'numbers in both places',
      { hyperparameters: {}, method: { type: 'supervised', supervised: { hyperparameters: {} } } },
      'hyperparameters',
      /once/,
    ],
    [
      'the same in two words',
      { hyperparameters: { n_epochs: 2 }, compact: { maxSteps: 3 } },
      'compact.maxSteps',
      /n_epochs and compact\.maxSteps/,
    ],
    ['an option that is unknown', { compact: { rnk: 3 } }, 'compact.rnk', /unknown key/],
    [
      'an option of files',
      { compact: { outputDirectory: '/tmp/a' } },
      'compact.outputDirectory',
      /unknown key/,
    ],
    [
      'a file by its path',
      { compact: { data: { records: '/etc/passwd' } } },
      'compact.data.records',
      /unknown key/,
    ],
    ['an adapter by its path', { compact: { adapter: '/etc' } }, 'compact.adapter', /unknown key/],
    [
      'another resume',
      { compact: { resumeFromCheckpoint: '/etc' } },
      'compact.resumeFromCheckpoint',
      /unknown key/,
    ],
    ['an option out of its range', { compact: { maxSteps: -1 } }, 'compact.maxSteps', /whole number/],
    [
      'a method that there is not',
      { compact: { method: 'lorra' } },
      'compact.method.name',
      /Did you mean 'lora'\?/,
    ],
    ['pairs where there are none', { method: { type: 'dpo' } }, 'training_file', /preference pairs/],
    ['a suffix with a slash', { suffix: 'a/b' }, 'suffix', /letters, digits/],
    ['metadata that are not text', { metadata: { a: 1 } }, 'metadata.a', /received 1/],
  ])('%s', async (_, changes, param, message) => {
    const { status, body } = await job(changes);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param, message: expect.stringMatching(message) });
  });

  test('a limit that is no number', async () => {
    const { status, body } = await ask(server, 'GET /v1/files?limit=1000', { key });
    expect({ status, param: body.error?.param }).toEqual({ status: 400, param: 'limit' });
  });
});
