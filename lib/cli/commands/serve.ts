import type { Command } from 'commander';
import type { FastifyInstance } from 'fastify';
import { resolve } from 'node:path';
import { compactError } from '../../errors.js';
import { createServer, KeyStore } from '../../server/index.js';
import { keyAtStart } from '../../server/keys/key-at-start.js';
import { openJobService, openServerDatabase } from '../../server/open.js';
import { Resources } from '../../train/resources.js';
import type { CommandContext } from '../command-context.js';
import { exitCodes } from '../exit-codes.js';
import { onInterrupt } from '../interrupt.js';
import { byteCount, choice, positiveInteger, positiveNumber, wholeNumber } from '../options.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
Clients of OpenAI's API of fine-tuning work with it: their base URL is the one printed, with /v1 behind it. Jobs run in
processes of their own, as many side by side as fit into memory; what is in the folder of data outlives the server, however
it ends. Models are folders below its folder models, in Hugging Face's layout, and presets.

Without more this machine alone can reach the server, with a key that is new at every start and printed once. With --host it
needs a key of yours: in COMPACT_TRAIN_API_KEY, or made before by POST /v1/compact/keys. TLS is for a proxy in front of it.

A first SIGTERM or SIGINT ends it so that nothing is lost: running jobs write a checkpoint, and go on with the next start.
COMPACT_TRAIN_DATABASE_URL names a PostgreSQL in place of the file server.sqlite in the folder of data.

It needs packages of its own: npm install fastify @fastify/multipart tar-stream, and before Node 22.13 node-sqlite3-wasm.

--json prints one object when the server is ready: "url", and "key" where a new one was made.`,
  examples: [
    ['compact-train serve --data-directory data'],
    ['compact-train serve --data-directory data --port 0 --json'],
    ['COMPACT_TRAIN_API_KEY=$(cat key) compact-train serve --data-directory data --host 0.0.0.0 --port 8080'],
  ],
} as const;

interface ServeFlags {
  readonly dataDirectory: string;
  readonly host: string;
  readonly port: number;
  readonly memoryLimit?: number;
  readonly maxRunning?: number;
  readonly keepDays?: number;
  readonly leaseSeconds: number;
  readonly grace: number;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
}

export function registerServe(program: Command, { terminal, finish }: CommandContext): void {
  const command = program
    .command('serve')
    .summary('fine-tune over HTTP')
    .description("Serves OpenAI's API of fine-tuning, in front of jobs on this machine.")
    .requiredOption('--data-directory <folder>', 'models, files, jobs and keys; made where there is none')
    .option('--host <address>', 'where it listens', '127.0.0.1')
    .option('--port <number>', 'where it listens; 0 takes a free one', wholeNumber, 8080)
    .option(
      '--memory-limit <size>',
      'what jobs may take together, e.g. 24GiB (default: 80 % of what is free)',
      byteCount,
    )
    .option(
      '--max-running <number>',
      'jobs side by side at most (default: as many as there are cores)',
      positiveInteger,
    )
    .option(
      '--keep-days <number>',
      'days until jobs that ended are forgotten, and their folders removed (default: never)',
      positiveNumber,
    )
    .option(
      '--lease-seconds <number>',
      'of a shared database: after what silence of a server others take its jobs over; the same for all',
      positiveInteger,
      60,
    )
    .option(
      '--grace <seconds>',
      'what running jobs have for a checkpoint when the server ends',
      wholeNumber,
      30,
    )
    .addOption(
      choice('--log-level <level>', 'of the log, JSON lines on standard error', [
        ...['error', 'warn', 'info', 'debug'],
      ]).default('warn'),
    )
    .action(async (flags: ServeFlags) => {
      await serve(flags, terminal);
      finish(exitCodes.done);
    });
  addHelpAfter(command, help);
}

async function serve(flags: ServeFlags, terminal: Terminal): Promise<void> {
  const { host, port, memoryLimit: memoryLimitBytes, maxRunning, keepDays, logLevel: level } = flags;
  const dataDirectory = resolve(flags.dataDirectory);
  const graceMs = 1000 * flags.grace;
  const { COMPACT_TRAIN_API_KEY: givenKey, COMPACT_TRAIN_DATABASE_URL: databaseUrl } = process.env;
  await using resources = new Resources();
  const database = await openServerDatabase(dataDirectory, databaseUrl);
  resources.add(() => database.close());
  const key = await keyAtStart(new KeyStore(database), host, givenKey);
  const jobs = await openJobService(dataDirectory, database, {
    ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
    ...(maxRunning !== undefined && { maxRunning }),
    lostAfterMs: Math.ceil(1000 * flags.leaseSeconds),
    ...(keepDays !== undefined && { retention: { endedDays: keepDays } }),
  });
  resources.add(() => jobs.close({ graceMs }));
  const app = await createServer({ dataDirectory, jobs, database }, { level, stream: process.stderr });
  resources.add(() => closeWithin(app, graceMs));
  let stop = (): void => {};
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  using _ = onInterrupt(() => stop());
  const url = await listen(app, host, port);
  terminal.object({ url, ...(key !== undefined && { key }) });
  terminal.line(`Base URL  ${url}/v1`);
  if (key !== undefined) terminal.line(`Key       ${key}`);
  await stopped;
  terminal.line('Ending: running jobs write a checkpoint');
  await Promise.all([closeWithin(app, graceMs), jobs.close({ graceMs })]);
}

/** @throws ERR_COMPACT_ARGUMENT for an address that cannot be had */
async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (cause) {
    throw compactError('ERR_COMPACT_ARGUMENT', `the server cannot listen at ${host}, port ${port}`, {
      op: '--port',
      expected: 'an address of this machine, and a port that nobody else has',
      received: (cause as Error).message,
      remedy: 'Take another --port; 0 finds a free one',
      cause,
    });
  }
}

/** Closes a server with its last request, or after some time with what is left of them. */
async function closeWithin(app: FastifyInstance, graceMs: number): Promise<void> {
  const deadline = setTimeout(() => app.server.closeAllConnections(), graceMs);
  await app.close();
  clearTimeout(deadline);
}
