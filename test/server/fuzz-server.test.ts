/**
 * Requests that are wrong in any place: none is answered as if it were the server's fault, and every refusal has the shape
 * of the API. `node scripts/fuzz-server.cjs` sends more of them.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { connect } from 'node:net';
import { apiErrors } from '../../lib/server/index.js';
import { RunningServer } from '../helpers/running-server.js';
import { ask, upload } from '../helpers/server-requests.js';

const numRuns = Number(process.env['COMPACT_FUZZ_SERVER'] ?? 500);
const seed = Number(process.env['COMPACT_FUZZ_SEED'] ?? 1);

let server: RunningServer;
let key: string;
let file: string;
let job: string;

beforeAll(async () => {
  server = await RunningServer.start({ bodyBytes: 8192, fileBytes: 8192, uploads: 1000, plans: 1000 });
  key = await server.key({ scopes: ['read', 'files', 'jobs', 'generate', 'admin'], maxJobs: 1e6 });
  file = await upload(server, key);
  const json = { model: 'llama-demo', training_file: file };
  job = String((await ask(server, 'POST /v1/fine_tuning/jobs', { key, json })).body['id']);
});
afterAll(() => server[Symbol.asyncDispose]());

const methods = ['GET', 'POST', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD'] as const;
const paths = [
  ...['/v1/files', '/v1/files/ID', '/v1/files/ID/content', '/v1/models', '/v1/models/ID', '/livez'],
  ...['/v1/fine_tuning/jobs', '/v1/fine_tuning/plan', '/v1/fine_tuning/jobs/ID', '/v1/compact/keys/ID'],
  ...['/v1/fine_tuning/jobs/ID/cancel', '/v1/fine_tuning/jobs/ID/events', '/v1/compact/jobs/ID/export'],
  ...[
    '/v1/fine_tuning/jobs/ID/checkpoints',
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/compact/keys',
    '/ID',
  ],
];
const odd = [
  '',
  '%00',
  '%',
  '%ff',
  '..',
  '%2e%2e%2f',
  '__proto__',
  'ft:a:b:c',
  'a'.repeat(600),
  '😀',
  '\u0000',
  '"',
  '\\',
];

const oddText = fc.oneof(fc.constantFrom(...odd), fc.string({ unit: 'binary', maxLength: 20 }));
const oddValue = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(null, -1, 0, 1e308, 1e-308, 2 ** 53, true, [], {}, 'auto', 'file-none'),
  oddText,
);
const body = fc.record(
  {
    model: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('llama-demo', 'none') },
      { weight: 1, arbitrary: oddValue },
    ),
    training_file: fc.oneof(
      { weight: 4, arbitrary: fc.constant('FILE') },
      { weight: 1, arbitrary: oddValue },
    ),
    validation_file: oddValue,
    hyperparameters: fc.oneof(
      fc.record({ n_epochs: oddValue, batch_size: oddValue }, { requiredKeys: [] }),
      oddValue,
    ),
    method: fc.oneof(
      fc.record({ type: fc.constantFrom('supervised', 'dpo', 'x'), dpo: oddValue }, { requiredKeys: [] }),
      oddValue,
    ),
    suffix: oddValue,
    seed: oddValue,
    metadata: fc.oneof(fc.dictionary(oddText, oddText, { maxKeys: 4 }), oddValue),
    integrations: oddValue,
    compact: fc.oneof(
      fc.record(
        {
          method: oddValue,
          maxSteps: oddValue,
          learningRate: oddValue,
          data: oddValue,
          device: oddValue,
          preference: oddValue,
        },
        { requiredKeys: [] },
      ),
      oddValue,
    ),
    messages: oddValue,
    prompt: oddValue,
    stop: oddValue,
    scopes: oddValue,
    owner: oddValue,
  },
  { requiredKeys: [] },
);
const form = fc.array(
  fc.record({
    name: fc.constantFrom('file', 'purpose', 'x', '__proto__'),
    filename: fc.option(oddText),
    content: oddText,
  }),
  { maxLength: 4 },
);
const contentType = fc.constantFrom(
  ...[
    'application/json',
    'application/json',
    'application/json; charset=x',
    'multipart/form-data; boundary=b',
  ],
  ...['multipart/form-data', 'text/plain', 'application/x-www-form-urlencoded', '', 'a/b; c'],
);
const payload = fc.oneof(
  { weight: 4, arbitrary: body.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: oddValue.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
  { weight: 1, arbitrary: fc.constant('x'.repeat(9000)) },
  {
    weight: 2,
    arbitrary: form.map((parts) =>
      [
        ...parts.map(
          ({ name, filename, content }) =>
            `--b\r\ncontent-disposition: form-data; name="${name}"${filename === null ? '' : `; filename="${filename}"`}\r\n\r\n${content}\r\n`,
        ),
        '--b--\r\n',
      ].join(''),
    ),
  },
);
const requests = fc.record({
  method: fc.constantFrom(...methods),
  path: fc.constantFrom(...paths),
  id: fc.oneof(
    fc.constantFrom('JOB', 'FILE', 'file-result-JOB'),
    oddText.map(encodeURI),
    fc.constantFrom(...odd),
  ),
  query: fc.oneof(
    { weight: 3, arbitrary: fc.constant('') },
    { weight: 1, arbitrary: oddText.map((text) => `?after=${encodeURIComponent(text)}`) },
    {
      weight: 1,
      arbitrary: oddText.map(
        (text) => `?limit=${encodeURIComponent(text)}&order=${encodeURIComponent(text)}`,
      ),
    },
  ),
  type: contentType,
  payload,
  hasKey: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  header: fc.constantFrom(
    '',
    '',
    'idempotency-key: a',
    'idempotency-key: \u00e4',
    'last-event-id: -1',
    'range: bytes=0-0',
  ),
});

/** Without a library that would put a request right. @returns status and body of the answer */
function exchange(text: string): Promise<{ readonly status: number; readonly body: string }> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    socket.on('error', reject);
    socket.on('close', () => {
      const [head = '', ...rest] = Buffer.concat(pieces).toString().split('\r\n\r\n');
      resolve({ status: Number(head.split(' ')[1]), body: rest.join('\r\n\r\n') });
    });
    socket.write(text);
  });
}

test(`${numRuns} requests`, async () => {
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(requests, async ({ method, path, id, query, type, payload: given, hasKey, header }) => {
      const fill = (text: string): string =>
        text
          .replaceAll('file-result-JOB', `file-result-${job}`)
          .replaceAll('JOB', job)
          .replaceAll('FILE', file);
      // What stands in the first line and in headers can hold no end of a line, or another request would begin.
      const target = fill(path.replace('ID', id) + query).replaceAll(/[\s\0]/g, '');
      const content = Buffer.from(fill(given));
      const heads = [
        `${method} ${target} HTTP/1.1`,
        ...['Host: a', 'Connection: close', `Content-Length: ${content.length}`],
        ...(type === '' ? [] : [`Content-Type: ${type}`]),
        ...(hasKey ? [`Authorization: Bearer ${key}`] : []),
        ...(header === '' ? [] : [header]),
      ];
      const answer = await exchange(`${heads.join('\r\n')}\r\n\r\n${content.toString()}`);
      const { status } = answer;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      expect(status).toBeGreaterThanOrEqual(200);
      expect(status).toBeLessThan(500);
      if (status >= 400 && method !== 'HEAD') {
        const { error } = JSON.parse(answer.body) as { error: { code: keyof typeof apiErrors } };
        expect(apiErrors[error.code]?.status).toBe(status);
        expect(answer.body).not.toContain(server.directory);
      }
    }),
    { numRuns, seed },
  );
  // They are of many kinds, and some are right.
  for (const status of [200, 400, 401, 404])
    expect([status, statuses.get(status)]).toEqual([status, expect.any(Number)]);
  expect(server.storedNames.filter((name) => name.startsWith('.'))).toEqual([]);
});
