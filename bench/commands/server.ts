import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { appendToLedger } from '../../lib/cli/bench/ledger.js';
import { benchDevice } from '../../lib/cli/bench/device.js';
import { positiveInteger } from '../../lib/cli/options.js';
import { packageDirectory } from '../../lib/cli/package-info.js';
import { renderTable } from '../../lib/cli/table.js';
import type { Terminal } from '../../lib/cli/terminal.js';

const help = `
Starts a server, lets it train two jobs side by side, opens streams of their events, of which every fourth is never read, and
asks it whether it is ready and how a job is doing, one request after the other.`;

interface ServerFlags {
  readonly requests: number;
  readonly streams: number;
  readonly ledger?: string;
}

interface Started {
  readonly url: string;
  readonly key: string;
  readonly process: ChildProcess;
}

export function registerServerBench(bench: Command, terminal: Terminal): void {
  bench
    .command('server')
    .summary('answers of a server while its jobs train')
    .description('Times what a server answers, and looks at its memory, while two jobs train.')
    .option('--requests <count>', 'of each kind', positiveInteger, 1000)
    .option('--streams <count>', 'of events, a quarter of them stalled', positiveInteger, 200)
    .option('--ledger <file>', 'append the figures as JSON lines')
    .addHelpText('after', help)
    .action((flags: ServerFlags) => serverBench(flags, terminal));
}

async function serverBench({ requests, streams, ledger }: ServerFlags, terminal: Terminal): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'compact-bench-server-'));
  const server = await start(directory);
  const sockets: Socket[] = [];
  try {
    const jobs = await createJobs(server);
    await running(server, jobs);
    const before = residentBytes(server);
    for (let n = 0; n < streams; n++) sockets.push(openStream(server, jobs[n % 2]!, n % 4 === 0));
    const ready = await latencies(requests, () => ask(server, '/readyz'));
    const status = await latencies(requests, () => ask(server, `/v1/fine_tuning/jobs/${jobs[0]}`));
    const after = residentBytes(server);
    await running(server, jobs); // else nothing was trained meanwhile
    const measured = { case: 'server', shape: `2 jobs, ${streams} streams`, dtype: 'f32', repeats: requests };
    const rows = [
      { ...measured, provider: 'readyz', metric: 'latency', unit: 'ms', ...ready },
      { ...measured, provider: 'job status', metric: 'latency', unit: 'ms', ...status },
    ];
    const grownMiB = (after - before) / 2 ** 20;
    terminal.object({ type: 'bench-server', rows, residentBytes: { before, after } });
    const columns = ['request', 'p50', 'p99', 'slowest'].map((title) => ({ title }));
    const cells = rows.map(({ provider, p50, p99, slowest }) => [
      provider,
      ...[p50, p99, slowest].map((ms) => `${ms.toFixed(1)} ms`),
    ]);
    terminal.line(renderTable(columns, cells));
    terminal.line(
      `  memory of the server: ${(after / 2 ** 20).toFixed(0)} MiB, ${grownMiB.toFixed(0)} MiB more than before`,
    );
    if (ledger !== undefined) appendToLedger(ledger, rows, benchDevice('cpu'));
  } finally {
    for (const socket of sockets) socket.destroy();
    server.process.kill('SIGKILL');
    await rm(directory, { recursive: true, maxRetries: 10 });
  }
}

async function start(directory: string): Promise<Started> {
  const words = ['serve', '--data-directory', directory, '--port', '0', '--json'];
  const main = join(packageDirectory, 'dist', 'cli', 'main.js');
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface(child.stdout))
    return { ...(JSON.parse(line) as { url: string; key: string }), process: child };
  throw new Error('the server ended before it was ready');
}

async function ask({ url, key }: Started, path: string, init: RequestInit = {}): Promise<unknown> {
  const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${key}` };
  const response = await fetch(url + path, { ...init, headers });
  const body = (await response.json()) as { error?: { message: string } };
  if (!response.ok) throw new Error(body.error?.message ?? String(response.status));
  return body;
}

/** Two jobs that train for longer than the benchmark takes. */
async function createJobs(server: Started): Promise<string[]> {
  const form = new FormData();
  const records = Array.from({ length: 200 }, (_, i) =>
    JSON.stringify({ text: `${i} plus ${i} is ${2 * i}. `.repeat(20) }),
  );
  form.append('purpose', 'fine-tune');
  form.append('file', new Blob([records.join('\n')]), 'texts.jsonl');
  const { id: file } = (await ask(server, '/v1/files', { method: 'POST', body: form })) as { id: string };
  const ids: string[] = [];
  for (let n = 0; n < 2; n++) {
    const body = JSON.stringify({
      model: 'llama-demo',
      training_file: file,
      compact: { maxSteps: 100_000, loggingSteps: 5 },
    });
    const init = { method: 'POST', body, headers: { 'content-type': 'application/json' } };
    ids.push(((await ask(server, '/v1/fine_tuning/jobs', init)) as { id: string }).id);
  }
  return ids;
}

async function running(server: Started, jobs: readonly string[]): Promise<void> {
  for (const id of jobs)
    for (;;) {
      const { status, compact } = (await ask(server, `/v1/fine_tuning/jobs/${id}`)) as {
        status: string;
        compact: { step: number };
      };
      if (status === 'running' && compact.step > 0) break;
      if (status !== 'running' && status !== 'queued') throw new Error(`a job is ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

/** A stalled one takes nothing of what it is sent. */
function openStream({ url, key }: Started, job: string, isStalled: boolean): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(
    `GET /v1/compact/jobs/${job}/events/stream HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${key}\r\n\r\n`,
  );
  if (isStalled) socket.pause();
  else socket.resume();
  return socket;
}

async function latencies(
  count: number,
  request: () => Promise<unknown>,
): Promise<{ p20: number; p50: number; p80: number; p99: number; slowest: number }> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const begin = performance.now();
    await request();
    times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(count - 1, Math.floor(share * count))]!;
  return { p20: at(0.2), p50: at(0.5), p80: at(0.8), p99: at(0.99), slowest: times.at(-1)! };
}

/** Of Linux. */
function residentBytes({ process: { pid } }: Started): number {
  const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return 1024 * Number(kibibytes);
}
