/** What Prometheus reads of a server. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { RunningServer } from '../helpers/running-server.js';
import { ask, upload } from '../helpers/server-requests.js';

let server: RunningServer;
let key: string;
beforeEach(async () => {
  server = await RunningServer.start({ heartbeatMs: 20 });
  key = await server.key({ owner: 'alice' });
});
afterEach(() => server[Symbol.asyncDispose]());

/** Samples by name and labels, as they stand in the format's text. */
async function scrape(from: RunningServer = server): Promise<ReadonlyMap<string, number>> {
  const { status, headers, text } = await ask(from, 'GET /metrics', {
    key: await from.key({ owner: 'prometheus', scopes: ['read'] }),
  });
  expect({ status, type: headers.get('content-type') }).toEqual({
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
  });
  expect(text.endsWith('\n')).toBe(true);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of lines)
    expect(line).toMatch(/^[a-z_0-9]+(\{([a-z]+="[^"\\]*",?)+\})? (-?[\d.e+-]+|Nan)$/);
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

async function newJob(): Promise<string> {
  const json = { model: 'llama-demo', training_file: await upload(server, key) };
  return String((await ask(server, 'POST /v1/fine_tuning/jobs', { key, json })).body['id']);
}

test('jobs and devices are told as numbers', async () => {
  const before = await scrape();
  expect(before.get('compact_jobs{status="queued"}')).toBe(0);
  expect(before.get('compact_queue_wait_seconds')).toBe(0);
  expect(before.get('compact_step_seconds')).toBeNaN();
  const [running, waiting] = [await newJob(), await newJob()];
  server.jobs.start(running);
  server.jobs.step(running, 4, { loss: 1 });
  server.jobs.change(waiting, { createdAt: Date.now() - 90_000 }, 'It has waited');
  const metrics = await scrape();
  expect(
    Object.fromEntries([...metrics].filter(([name]) => /^compact_(?!http|event|queue)/.test(name))),
  ).toEqual({
    'compact_jobs{status="queued"}': 1,
    'compact_jobs{status="running"}': 1,
    'compact_jobs{status="paused"}': 0,
    'compact_jobs{status="succeeded"}': 0,
    'compact_jobs{status="failed"}': 0,
    'compact_jobs{status="cancelled"}': 0,
    compact_steps_total: 4,
    compact_trained_tokens_total: 2000,
    compact_tokens_per_second: 250,
    compact_step_seconds: 2,
    compact_planned_bytes: 1_000_000,
    'compact_device_memory_bytes{device="cpu"}': 10_000_000,
    'compact_device_taken_bytes{device="cpu"}': 1_000_000,
  });
  expect(metrics.get('compact_queue_wait_seconds')).toBeGreaterThanOrEqual(90);
  expect(metrics.get('process_resident_memory_bytes')).toBeGreaterThan(10e6);
  expect(metrics.get('nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6);
  expect(metrics.get('nodejs_external_memory_bytes')).toBeGreaterThan(0);
  // Read again, totals are what they were.
  expect((await scrape()).get('compact_trained_tokens_total')).toBe(2000);
});

test('how late timers are is told', async () => {
  const late = async (): Promise<number> =>
    (await scrape()).get('compact_event_loop_delay_seconds{quantile="1"}')!;
  await late();
  await sleep(100); // the first timer after a read is where the next one is measured from
  const end = performance.now() + 300;
  while (performance.now() < end); // nothing else can be done meanwhile
  await sleep(100);
  expect(await late()).toBeGreaterThan(0.1);
});

test('requests are counted by their route, those that are refused and those whose client goes as well', async () => {
  const id = await newJob();
  for (let i = 0; i < 3; i++) await ask(server, `GET /v1/fine_tuning/jobs/${id}`, { key });
  await ask(server, 'GET /v1/fine_tuning/jobs/job-none', { key });
  await ask(server, `GET /v1/fine_tuning/jobs/${id}`, { key: 'sk-compact-wrong' });
  await ask(server, 'GET /livez');
  const gone = new AbortController();
  const path = `${server.url}/v1/compact/jobs/${id}/events/stream`;
  const stream = await fetch(path, { headers: { authorization: `Bearer ${key}` }, signal: gone.signal });
  await stream.body!.getReader().read();
  gone.abort();
  while (server.jobs.numWatchers > 0) await setImmediate();
  const metrics = await scrape();
  const count = (line: string, status: number): number | undefined => {
    const [method, route] = line.split(' ');
    return metrics.get(`compact_http_requests_total{method="${method}",route="${route}",status="${status}"}`);
  };
  expect(count('GET /v1/fine_tuning/jobs/:id', 200)).toBe(3);
  expect(count('GET /v1/fine_tuning/jobs/:id', 404)).toBe(1);
  expect(count('GET /v1/fine_tuning/jobs/:id', 401)).toBe(1);
  expect(count('GET /livez', 200)).toBe(1);
  expect(count('GET /v1/compact/jobs/:id/events/stream', 200)).toBe(1);
  const labels = 'method="GET",route="/v1/fine_tuning/jobs/:id"';
  const duration = 'compact_http_request_duration_seconds';
  expect(metrics.get(`${duration}_count{${labels}}`)).toBe(5);
  expect(metrics.get(`${duration}_bucket{le="+Inf",${labels}}`)).toBe(5);
  expect(metrics.get(`${duration}_sum{${labels}}`)).toBeGreaterThan(0);
  expect([...metrics.keys()].filter((name) => name.includes(id) || name.includes('alice'))).toEqual([]);
});

test('each server counts what is its own', async () => {
  await using other = await RunningServer.start();
  await ask(other, 'GET /livez');
  const name = 'compact_http_requests_total{method="GET",route="/livez",status="200"}';
  expect((await scrape(other)).get(name)).toBe(1);
  expect((await scrape()).has(name)).toBe(false);
});

test('without a key nothing is told', async () => {
  const { status, body } = await ask(server, 'GET /metrics');
  expect({ status, code: body.error?.code }).toEqual({ status: 401, code: 'invalid_api_key' });
});
