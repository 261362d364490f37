/** A server of jobs in a process of its own, with a store in a file, which prints what it hears of its jobs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { transformSync } from '@swc/core';
import { distribution } from './built.js';

/** The store of the tests as JavaScript, with the errors of the built package. */
const { code: storeCode } = transformSync(
  readFileSync(join(__dirname, 'memory-job-store.ts'), 'utf8').replaceAll("'../../lib/", `'${distribution}/`),
  { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
);

export interface ServerOptions {
  readonly storePath: string;
  readonly directory: string;
  readonly owner: string;
  /** Of the jobs that there are to be. */
  readonly recipes: readonly object[];
}

const script = (options: ServerOptions): string => `
  const exported = {};
  (function (exports) { ${storeCode} })(exported);
  const { JobQueue } = require(${JSON.stringify(join(distribution, 'jobs', 'index.js'))});
  (async () => {
    const { storePath, directory, owner, recipes } = ${JSON.stringify(options)};
    const store = new exported.MemoryJobStore(storePath);
    const devices = [{ name: 'cpu', memoryBytes: 4 * 2 ** 30 }];
    const queue = await JobQueue.open({ store, directory, devices, maxRunning: 2 });
    const say = (value) => console.log(JSON.stringify(value));
    const tell = async (id) => {
      const { status, step } = await store.get(id);
      say({ id, status, step });
      const { items } = await store.list({ limit: 100 });
      if (items.length === recipes.length && items.every((job) => job.status === 'succeeded')) process.exit(0);
    };
    for (const [i, recipe] of recipes.entries()) {
      const { id } = await queue.create({ recipe, owner, priority: 0, details: {} }, 'key ' + i);
      queue.watch(id, () => void tell(id));
      await tell(id);
    }
  })();
`;

/** Starts one; settles when it has ended. @param onLine told each line that it prints */
export function runJobServer(
  options: ServerOptions,
  onLine: (line: Readonly<Record<string, unknown>>, server: ChildProcess) => void,
): Promise<{
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}> {
  const server = spawn(process.execPath, ['-'], { stdio: ['pipe', 'pipe', 'pipe'] });
  server.stdin.end(script(options));
  let stderr = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  createInterface({ input: server.stdout }).on('line', (line) =>
    onLine(JSON.parse(line) as Readonly<Record<string, unknown>>, server),
  );
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.on('close', (code, signal) => resolve({ code, signal, stderr }));
  });
}
