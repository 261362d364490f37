/** What is sent piece by piece: events of a job as they happen, and the folder that it has trained. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { extract } from 'tar-stream';
import { RunningServer } from '../helpers/running-server.js';
import { ask, upload } from '../helpers/server-requests.js';

const limits = { heartbeatMs: 20, stallMs: 400, streams: 2 };
let server: RunningServer;
let key: string;
let job: string;

beforeEach(async () => {
  server = await RunningServer.start(limits);
  key = await server.key();
  const file = await upload(server, key);
  const json = { model: 'llama-demo', training_file: file };
  job = String((await ask(server, 'POST /v1/fine_tuning/jobs', { key, json })).body['id']);
});
afterEach(() => server[Symbol.asyncDispose]());

const path = (): string => `/v1/compact/jobs/${job}/events/stream`;

interface Frame {
  readonly id?: string;
  readonly event?: string;
  readonly data?: { readonly message?: string; readonly status?: string };
}

/** The frames of a stream, comments as frames without anything. */
async function* frames(headers: Record<string, string> = {}, signal?: AbortSignal): AsyncGenerator<Frame> {
  const response = await fetch(`${server.url}${path()}`, {
    headers: { authorization: `Bearer ${key}`, ...headers },
    ...(signal && { signal }),
  });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  let rest = '';
  for await (const bytes of response.body!) {
    rest += Buffer.from(bytes as Uint8Array).toString();
    const parts = rest.split('\n\n');
    rest = parts.pop()!;
    for (const part of parts) {
      const fields = part.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]);
      const { id, event, data } = Object.fromEntries(fields) as Record<string, string | undefined>;
      yield {
        ...(id !== undefined && { id }),
        ...(event !== undefined && { event }),
        ...(data !== undefined && { data: JSON.parse(data) as Frame['data'] & object }),
      };
    }
  }
}

async function collect(headers?: Record<string, string>): Promise<readonly Frame[]> {
  const found: Frame[] = [];
  for await (const frame of frames(headers)) if (frame.event !== undefined) found.push(frame);
  return found;
}

const finish = (): void => {
  server.jobs.start(job);
  for (const step of [1, 2, 3]) server.jobs.step(job, step, { loss: step });
  server.jobs.succeed(job, { folder: 'model-3', step: 3 });
};

describe('the events of a job', () => {
  test('come as they happen, in order, with heartbeats between, until its end', async () => {
    const found: Frame[] = [];
    let numHeartbeats = 0;
    for await (const frame of frames()) {
      if (frame.event !== undefined) found.push(frame);
      else numHeartbeats++;
      // The first is the retry time; two heartbeats after the last event, the job goes on.
      if (numHeartbeats === 3) finish();
    }
    expect(found.map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5', '6', undefined]);
    expect(found.map(({ event }) => event)).toEqual([
      ...['message', 'message', 'metrics', 'metrics', 'metrics', 'message', 'end'],
    ]);
    expect(found.at(-1)!.data).toEqual({ status: 'succeeded' });
    expect(found[1]!.data).toMatchObject({ object: 'fine_tuning.job.event', message: 'Job runs' });
  });

  test('go on after the last that a client has seen, without gaps or repeats', async () => {
    finish();
    const all = await collect();
    for (const last of ['0', '1', '4', '6'])
      expect(await collect({ 'last-event-id': last })).toEqual(all.slice(Number(last)));
    const { status, body } = await ask(server, `GET ${path()}`, { key, headers: { 'last-event-id': 'x' } });
    expect({ status, param: body.error?.param }).toEqual({ status: 400, param: 'Last-Event-ID' });
  });

  test('a connection that was cut is taken up where it was', async () => {
    const cut = new AbortController();
    const seen: (string | undefined)[] = [];
    const first = async (): Promise<void> => {
      for await (const frame of frames({}, cut.signal)) {
        if (frame.event === undefined) continue;
        seen.push(frame.id);
        if (frame.id === '1') server.jobs.start(job);
        if (frame.id === '2') cut.abort();
      }
    };
    await expect(first()).rejects.toThrow(/aborted/);
    server.jobs.step(job, 1, { loss: 1 });
    server.jobs.succeed(job, { folder: 'model-1', step: 1 });
    for (const { id } of await collect({ 'last-event-id': '2' })) seen.push(id);
    expect(seen).toEqual(['1', '2', '3', '4', undefined]);
  });

  test('nobody watches when clients have gone', async () => {
    const gone = new AbortController();
    const read = async (): Promise<void> => {
      for await (const frame of frames({}, gone.signal)) if (frame.id === '1') gone.abort();
    };
    await expect(read()).rejects.toThrow(/aborted/);
    while (server.jobs.numWatchers > 0) await setImmediate();
  });

  test('a key has so many streams at a time, and gets one back when it ends', async () => {
    const gone = new AbortController();
    const open = [frames({}, gone.signal), frames({}, gone.signal)];
    for (const stream of open) await stream.next();
    const { status, body } = await ask(server, `GET ${path()}`, { key });
    expect({ status, code: body.error?.code }).toEqual({ status: 429, code: 'too_many_requests' });
    gone.abort();
    while (server.jobs.numWatchers > 0) await setImmediate();
    finish();
    expect((await collect()).at(-1)!.event).toBe('end');
  });

  test('a client that does not read is dropped, and little was kept for it', async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname).pause();
    socket.on('error', () => undefined);
    socket.write(`GET ${path()} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n\r\n`);
    while (server.jobs.numWatchers === 0) await setImmediate();
    const message = 'x'.repeat(100_000);
    // More than the system's buffers hold of a connection.
    for (let i = 0; i < 1000; i++)
      server.jobs.tell(job, { level: 'info', type: 'message', message, data: {} });
    while (server.jobs.numWatchers > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(server.jobs.numEventsRead).toBeLessThan(500);
    socket.destroy();
  });

  test('end when the server stops', async () => {
    const stream = frames();
    await stream.next();
    const closed = server.app.close();
    for await (const _ of stream) void _;
    await closed;
    expect(server.jobs.numWatchers).toBe(0);
  });
});

describe('what a job has trained', () => {
  test('is downloaded as an archive of its files', async () => {
    finish();
    const folder = join(server.jobs.folder(job), 'model-3');
    mkdirSync(join(folder, 'deep'), { recursive: true });
    const files = { 'config.json': '{}', 'deep/weights.bin': 'w'.repeat(300_000), empty: '' };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const response = await fetch(`${server.url}/v1/compact/jobs/${job}/export`, {
      headers: { authorization: `Bearer ${key}` },
    });
    expect(response.headers.get('content-disposition')).toBe(`attachment; filename="${job}-model.tar"`);
    const found: Record<string, string> = {};
    const archive = extract();
    Readable.fromWeb(response.body as never).pipe(archive);
    for await (const entry of archive) {
      const pieces: Buffer[] = [];
      for await (const piece of entry) pieces.push(piece as Buffer);
      found[entry.header.name] = Buffer.concat(pieces).toString();
    }
    expect(found).toEqual(
      Object.fromEntries(Object.entries(files).map(([name, content]) => [`${job}-model/${name}`, content])),
    );
  });

  test('is not there before its end, nor are adapters where there are none', async () => {
    const line = `GET /v1/compact/jobs/${job}/export`;
    expect((await ask(server, line, { key })).body.error?.code).toBe('job_state');
    finish();
    expect((await ask(server, `${line}?content=adapters`, { key })).body.error?.code).toBe('job_state');
  });
});
