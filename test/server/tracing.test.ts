import { expect, test } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { RecordedSpans } from '../helpers/recorded-spans.js';
import { RunningServer } from '../helpers/running-server.js';
import { ask } from '../helpers/server-requests.js';

test('each request has a span, which ends once, and has what went wrong', async () => {
  const tracer = new RecordedSpans();
  await using server = await RunningServer.start({}, { tracer });
  const key = await server.key();
  const answers = [
    await ask(server, 'GET /livez'),
    await ask(server, 'GET /v1/files/file-none', { key }),
    await ask(server, 'GET /v1/files'),
  ];
  while (tracer.spans.some(({ numEnds }) => numEnds === 0)) await setImmediate();
  expect(tracer.spans.map(({ name, errors }) => [name, errors.map(({ message }) => message)])).toEqual([
    ['GET /livez', []],
    ['GET /v1/files/:id', [answers[1]!.body.error!.message]],
    ['GET /v1/files', [answers[2]!.body.error!.message]],
  ]);
  for (const [i, { attributes, numEnds }] of tracer.spans.entries()) {
    const { status, headers } = answers[i]!;
    expect(attributes).toMatchObject({
      'http.request.method': 'GET',
      'http.response.status_code': status,
      'compact.request.id': headers.get('x-request-id'),
    });
    expect(numEnds).toBe(1);
  }
});

test('what cannot trace is refused', async () => {
  const start = RunningServer.start({}, { tracer: {} as RecordedSpans });
  await expect(start).rejects.toMatchObject({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'tracer' });
});
