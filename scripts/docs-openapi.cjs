#!/usr/bin/env node
// Writes docs/reference/openapi.json, the description of the server's API for programs, from the schemas that its requests are
// checked by. Needs dist (npm run build:ts).
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const file = path.join(root, 'docs', 'reference', 'openapi.json');

const groups = [
  ['/v1/compact/keys', 'Keys'],
  ['/v1/compact', 'Jobs, beyond the API of OpenAI'],
  ['/v1/fine_tuning', 'Jobs'],
  ['/v1/files', 'Files'],
  ['/v1/models', 'Models'],
  ['/v1/', 'Text'],
  ['/', 'Health'],
];

/** The description, as an object. */
async function openApi() {
  const { fastify } = require('fastify');
  const { fineTuningApi, openJobService, openServerDatabase } = require(
    path.join(root, 'dist', 'entries', 'server.js'),
  );
  const { version } = require(path.join(root, 'package.json'));
  const dataDirectory = fs.mkdtempSync(path.join(os.tmpdir(), 'compact-openapi-'));
  const database = await openServerDatabase(dataDirectory);
  const jobs = await openJobService(dataDirectory, database, { memoryLimitBytes: 2 ** 30 });
  const app = fastify({ routerOptions: { maxParamLength: 512 } });
  try {
    await app.register(require('@fastify/swagger'), {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'compact-train',
          description: 'Training jobs: the fine-tuning API of OpenAI, and what it has no word for.',
          version,
        },
        components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
        security: [{ key: [] }],
      },
      hideUntagged: false,
      transform: ({ schema, url, route }) => ({
        url,
        schema: {
          ...schema,
          tags: [groups.find(([start]) => url.startsWith(start))[1]],
          ...(url.startsWith('/dashboard') || url === '/' ? { hide: true } : {}),
          ...(route.config?.scope === 'open' ? { security: [] } : {}),
        },
      }),
    });
    await app.register(fineTuningApi, { dataDirectory, jobs, database });
    await app.ready();
    return app.swagger();
  } finally {
    await app.close();
    await jobs.close();
    await database.close();
    fs.rmSync(dataDirectory, { recursive: true });
  }
}

module.exports = { openApi };

async function main() {
  fs.writeFileSync(file, `${JSON.stringify(await openApi(), undefined, 2)}\n`);
  console.log(`written: ${path.relative(root, file)}`);
}

if (require.main === module) void main();
