import { expect, jest, test } from '@jest/globals';
import { RunningServer } from '../helpers/running-server.js';
import { ask } from '../helpers/server-requests.js';

jest.mock('prom-client', () => {
  throw Object.assign(new Error(`Cannot find module 'prom-client'`), { code: 'MODULE_NOT_FOUND' });
});

test('a server without prom-client serves all but its metrics, and says what to install', async () => {
  await using server = await RunningServer.start();
  expect((await ask(server, 'GET /livez')).status).toBe(200);
  const { status, headers, body } = await ask(server, 'GET /metrics', { key: await server.key() });
  expect({ status, retry: headers.get('x-should-retry') }).toEqual({ status: 501, retry: 'false' });
  expect(body.error).toMatchObject({ code: 'package_missing', type: 'server_error', param: null });
  expect(body.error!.message).toContain('npm install prom-client');
  expect((await ask(server, 'GET /metrics')).status).toBe(401);
});
