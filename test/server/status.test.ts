import { expect, test } from '@jest/globals';
import { RunningServer } from '../helpers/running-server.js';
import { ask, upload } from '../helpers/server-requests.js';

test('the status tells how full the server is, and of the jobs of others no more than their number', async () => {
  await using server = await RunningServer.start();
  const keys = { alice: await server.key({ owner: 'alice' }), bob: await server.key({ owner: 'bob' }) };
  const create = async (key: string): Promise<string> => {
    const json = { model: 'llama-demo', training_file: await upload(server, key) };
    return String((await ask(server, 'POST /v1/fine_tuning/jobs', { key, json })).body['id']);
  };
  const [first] = [await create(keys.alice), await create(keys.alice)];
  const other = await create(keys.bob);
  await create(keys.bob);
  await create(keys.bob);
  for (const id of [first, other]) server.jobs.start(id);
  const reader = await server.key({ owner: 'alice', scopes: ['read'] });
  const { status, body, text } = await ask(server, 'GET /v1/compact/status', { key: reader });
  expect(status).toBe(200);
  expect(body).toEqual({
    object: 'compact.status',
    devices: [{ name: 'cpu', memory_bytes: 10_000_000, capacity_bytes: 20_000_000, taken_bytes: 2_000_000 }],
    ...{ running: 2, queued: 3 },
    jobs: { queued: 1, running: 1, paused: 0, succeeded: 0, failed: 0, cancelled: 0 },
    running_jobs: [first],
  });
  expect(text).not.toContain(other);
  expect((await ask(server, 'GET /v1/compact/status')).status).toBe(401);
});
