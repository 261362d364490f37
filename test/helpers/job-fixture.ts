/** What tests of jobs share: a tiny model, records, a recipe that is quick, and the same by the command line. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as source from '../../lib/jobs/index.js';
import type { Job, JobEvent, JobRequest, JobStatus } from '../../lib/jobs/index.js';
import { runCommand } from '../cli/run-command.js';
import { built } from './built.js';
import { MemoryJobStore } from './memory-job-store.js';
import { modelOfBytes, writeModelFolder } from './model-folder.js';

export const { JobQueue } = built('jobs/index') as typeof source;
export type JobQueue = source.JobQueue;

export const owner = 'somebody';
export const numSteps = 40;
export const GiB = 2 ** 30;

/** How records are learnt, in the words of recipes and of the command line. */
const sizes = { sequenceLength: 32, batchSize: 2, maxSteps: numSteps, threads: 1 } as const;
const often = { loggingSteps: 1, evalSteps: 10, saveSteps: 7 } as const;

export class JobFixture {
  readonly folder = mkdtempSync(join(tmpdir(), 'compact-jobs-'));
  readonly base = join(this.folder, 'base');
  readonly records = join(this.folder, 'pairs.jsonl');

  static async make(): Promise<JobFixture> {
    const fixture = new JobFixture();
    await writeModelFolder(fixture.base, modelOfBytes('llama3'));
    const pairs = Array.from({ length: 60 }, (_, i) => ({ prompt: `${i}=`, completion: `${i * 37}` }));
    writeFileSync(fixture.records, pairs.map((pair) => JSON.stringify(pair)).join('\n'));
    return fixture;
  }

  recipe(change: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    return {
      model: this.base,
      data: { records: this.records },
      device: 'cpu',
      ...sizes,
      ...often,
      ...change,
    };
  }

  /** What somebody asks for who wants the recipe done. */
  request(change?: Readonly<Record<string, unknown>>): JobRequest {
    return { recipe: this.recipe(change), owner, priority: 0, details: {} };
  }

  newDirectory(): string {
    return mkdtempSync(join(this.folder, 'queue-'));
  }

  /** A queue of its own, with one device that has plenty of room. */
  openQueue(change: object = {}): Promise<JobQueue> {
    return JobQueue.open({
      store: new MemoryJobStore(),
      directory: this.newDirectory(),
      devices: [{ name: 'cpu', memoryBytes: 4 * GiB }],
      ...change,
    });
  }

  /** Trains the recipe by the command line. @returns the folder of the trained model */
  async trainByCommand(): Promise<string> {
    const output = join(this.folder, 'by-command');
    const args = ['finetune', this.base, '-d', this.records, '-o', output, '--device', 'cpu', '--json'];
    const flags = ['-s', '32', '-b', '2', '-n', `${numSteps}`, '-t', '1', '--logging-steps', '1'];
    const { code, stderr } = await runCommand([...args, ...flags, '--eval-steps', '10', '--save-steps', '7']);
    if (code !== 0) throw new Error(stderr);
    return join(output, `model-${numSteps}`);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Of every file of weights in a folder. */
export const weightsOf = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name.endsWith('.safetensors'))
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex'),
      ]),
  );

/** Settles when a job is as wished; fails when it has come to another end. */
export async function become(
  queue: JobQueue,
  id: string,
  isWished: (job: Job) => boolean,
  ends: readonly JobStatus[] = ['succeeded', 'failed', 'cancelled'],
): Promise<Job> {
  for (;;) {
    const changed = new Promise<void>((resolve) => {
      const end = queue.watch(id, () => (end(), resolve()));
    });
    const job = (await queue.get(id, owner))!;
    if (isWished(job)) return job;
    if (ends.includes(job.status)) throw new Error(`the job is ${job.status}: ${JSON.stringify(job.error)}`);
    await changed;
  }
}

export const isStatus =
  (status: JobStatus) =>
  (job: Job): boolean =>
    job.status === status;

export const allEvents = (queue: JobQueue, id: string): Promise<readonly JobEvent[]> =>
  queue.events(id, owner, { limit: 100_000 });

/** The process that has a job's folder. */
export const processOf = (queue: JobQueue, id: string): number =>
  (JSON.parse(readFileSync(join(queue.folder(id), 'run.lock'), 'utf8')) as { pid: number }).pid;
