/** A server that listens, with jobs that are played, keys, and a data directory of its own. */
import type { FastifyInstance } from 'fastify';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as source from '../../lib/server/index.js';
import type { KeyOptions, ServerLimits, Tracer } from '../../lib/server/index.js';
import { FakeJobs } from './fake-jobs.js';
import { MemoryDatabase } from './memory-database.js';

export class RunningServer implements AsyncDisposable {
  readonly directory: string;
  readonly jobs: FakeJobs;
  readonly database: MemoryDatabase;
  readonly keys: source.KeyStore;
  readonly url: string;
  readonly app: FastifyInstance;
  /** Lines of the log. */
  readonly log: readonly string[];

  private constructor(parts: Pick<RunningServer, 'directory' | 'jobs' | 'database' | 'url' | 'app' | 'log'>) {
    this.directory = parts.directory;
    this.jobs = parts.jobs;
    this.database = parts.database;
    this.url = parts.url;
    this.app = parts.app;
    this.log = parts.log;
    this.keys = new source.KeyStore(parts.database);
  }

  /** @param others.module whose server it is: the source's, or that of the built package, which has the page */
  static async start(
    limits: ServerLimits = {},
    {
      module = source,
      ...others
    }: { readonly tracer?: Tracer; readonly module?: Pick<typeof source, 'createServer'> } = {},
  ): Promise<RunningServer> {
    const directory = mkdtempSync(join(tmpdir(), 'compact-server-'));
    mkdirSync(join(directory, 'models'));
    const jobs = new FakeJobs(join(directory, 'jobs'));
    const database = new MemoryDatabase();
    const log: string[] = [];
    const stream = { write: (line: string) => void log.push(line) };
    const options = { dataDirectory: directory, jobs, database, limits, ...others };
    const app = await module.createServer(
      { ...options, sampler: { threads: 1 } },
      { level: 'debug', stream },
    );
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    return new RunningServer({ directory, jobs, database, url, app, log });
  }

  /** The text of a new key. */
  async key(options: KeyOptions = {}): Promise<string> {
    return (await this.keys.create(options)).secret;
  }

  /** Names of what was uploaded, and of what is left of uploads. */
  get storedNames(): readonly string[] {
    return readdirSync(join(this.directory, 'files'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close();
    await this.database.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
