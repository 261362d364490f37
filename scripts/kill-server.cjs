#!/usr/bin/env node
// Kills servers and jobs of them, as the system or an operator may, and looks at what becomes of the jobs:
//   node scripts/kill-server.cjs [kills = 200] [seed = 1] [command]
// Jobs of one recipe are created, and at random moments the server or the process of a job gets SIGKILL, until there were so
// many; then all of them are waited for. Fails when an accepted job is lost, one ends with other weights than an undisturbed
// one, or a client that reads its events, behind the last that it has seen, misses one or sees one twice. Needs dist.
// With COMPACT_TRAIN_DATABASE_URL the jobs are in PostgreSQL; a command that restarts it without a warning is then one of
// what happens, e.g. 'pg_ctlcluster 15 main restart -m immediate'.
'use strict';

const { execFileSync, spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const [kills, seed] = [Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 1)];
const restartDatabase = process.argv[4];
const main = path.join(__dirname, '..', 'dist', 'cli', 'main.js');
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'compact-kill-'));
const key = 'a-key-for-servers-that-are-killed';
const jobsAtATime = 3;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A generator of its own, so that a seed names a run. */
let state = seed >>> 0;
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}

let server;
async function start() {
  const words = ['serve', '--data-directory', directory, '--port', '0', '--max-running', '2', '--json'];
  const env = { ...process.env, COMPACT_TRAIN_API_KEY: key };
  const child = spawn(process.execPath, [main, ...words], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece) => {
      text += piece;
      if (text.includes('\n')) resolve(text);
    });
    child.once('exit', (code, signal) => reject(new Error(`the server ended: ${code ?? signal}`)));
  });
  server = { url: `${JSON.parse(line).url}/v1`, child };
}

async function ask(route, init = {}) {
  const headers = { ...init.headers, authorization: `Bearer ${key}` };
  const response = await fetch(server.url + route, { ...init, headers });
  const body = await response.json();
  if (response.status === 503) throw new TypeError(body.error.message); // its database is away
  if (!response.ok) throw new Error(`${route}: ${body.error.message}`);
  return body;
}

let file;
async function upload() {
  const form = new FormData();
  const records = Array.from({ length: 40 }, (_, i) =>
    JSON.stringify({ prompt: `${i} + 1 =`, completion: ` ${i + 1}` }),
  );
  form.append('purpose', 'fine-tune');
  form.append('file', new Blob([records.join('\n')]), 'sums.jsonl');
  file = (await ask('/files', { method: 'POST', body: form })).id;
}

const jobs = [];
async function create() {
  const compact = { maxSteps: 60, batchSize: 8, loggingSteps: 1 };
  const body = JSON.stringify({ model: 'llama-demo', training_file: file, compact });
  const headers = { 'content-type': 'application/json', 'idempotency-key': `job-${jobs.length}` };
  const job = { number: jobs.length, id: undefined, events: [], resumes: 0 };
  jobs.push(job);
  // A server that is killed meanwhile has made it, or has not: the same key finds out.
  while (job.id === undefined)
    try {
      job.id = (await ask('/fine_tuning/jobs', { method: 'POST', body, headers })).id;
    } catch (error) {
      if (!isAway(error)) throw error;
      await wait(50);
    }
}

const isAway = (error) => error instanceof TypeError;

/** Reads what is new of a job, behind what was seen, as a client that was cut off does. */
async function follow(job) {
  try {
    const headers = { authorization: `Bearer ${key}`, 'last-event-id': String(job.events.at(-1) ?? 0) };
    const response = await fetch(`${server.url}/compact/jobs/${job.id}/events/stream`, { headers });
    let text = '';
    for await (const piece of response.body) {
      text += Buffer.from(piece).toString('utf8');
      const blocks = text.split('\n\n');
      text = blocks.pop();
      for (const block of blocks) {
        if (block.includes('event: end')) return true;
        const [, id] = /^id: (\d+)$/m.exec(block) ?? [];
        if (id === undefined) continue;
        if (Number(id) !== (job.events.at(-1) ?? 0) + 1)
          throw new Error(`${job.id}: event ${id} came behind ${job.events.at(-1) ?? 0}`);
        job.events.push(Number(id));
      }
    }
  } catch (error) {
    if (!isAway(error) && error.code !== 'UND_ERR_SOCKET') throw error;
  }
  return false;
}

async function watch(job) {
  for (;;) {
    while (job.id === undefined) await wait(50);
    const hasEnded = await follow(job);
    if (!hasEnded) {
      await wait(50);
      continue;
    }
    const { status, error } = await persistently(() => ask(`/fine_tuning/jobs/${job.id}`));
    if (status === 'succeeded') return;
    // One whose process is lost again and again before it comes to a checkpoint gives up, and may be told to go on.
    if (status !== 'failed' || error.code !== 'ERR_COMPACT_JOB_LOST')
      throw new Error(`${job.id} is ${status}: ${error?.message}`);
    job.resumes++;
    await persistently(() => ask(`/fine_tuning/jobs/${job.id}/resume`, { method: 'POST' }));
  }
}

async function persistently(work) {
  for (;;)
    try {
      return await work();
    } catch (error) {
      if (!isAway(error)) throw error;
      await wait(50);
    }
}

function jobProcesses() {
  try {
    const found = execFileSync('pgrep', ['-P', String(server.child.pid), '-f', 'job-worker'], {
      encoding: 'utf8',
    });
    return found.trim().split('\n').map(Number);
  } catch {
    return []; // none runs
  }
}

function weightsOf({ id }) {
  const folder = path.join(directory, 'jobs', id);
  const [model] = fs.readdirSync(folder).filter((name) => name.startsWith('model-'));
  return createHash('sha256')
    .update(fs.readFileSync(path.join(folder, model, 'model.safetensors')))
    .digest('hex');
}

async function run() {
  await start();
  await upload();
  await create();
  await watch(jobs[0]); // undisturbed
  const right = weightsOf(jobs[0]);
  const counts = { server: 0, job: 0, database: 0 };
  const watched = [];
  const refill = async () => {
    const running = watched.filter(({ isDone }) => !isDone).length;
    for (let n = running; n < jobsAtATime; n++) {
      await create();
      const one = { isDone: false };
      one.promise = watch(jobs.at(-1)).then(() => (one.isDone = true));
      one.promise.catch((error) => {
        console.error(error);
        process.exitCode = 1;
      });
      watched.push(one);
    }
  };
  while (counts.server + counts.job + counts.database < kills && process.exitCode === undefined) {
    await refill();
    await wait(100 + 1400 * random());
    if (restartDatabase !== undefined && random() < 0.33) {
      execFileSync('sh', ['-c', restartDatabase], { stdio: ['ignore', 'ignore', 'inherit'] });
      counts.database++;
      continue;
    }
    const [process_] = random() < 0.5 ? jobProcesses() : [];
    if (process_ !== undefined) {
      process.kill(process_, 'SIGKILL');
      counts.job++;
    } else {
      server.child.removeAllListeners('exit');
      const gone = new Promise((resolve) => server.child.once('exit', resolve));
      server.child.kill('SIGKILL');
      await gone;
      counts.server++;
      await start();
    }
  }
  await Promise.all(watched.map(({ promise }) => promise));
  const listed = new Set();
  for (let after = ''; ;) {
    const { data, has_more, last_id } = await ask(`/fine_tuning/jobs?limit=100${after && `&after=${after}`}`);
    for (const { id } of data) listed.add(id);
    if (!has_more) break;
    after = last_id;
  }
  const lost = jobs.filter(({ id }) => !listed.has(id));
  const twice = listed.size - jobs.length;
  const other = jobs.filter((job) => weightsOf(job) !== right);
  const numEvents = jobs.reduce((sum, { events }) => sum + events.length, 0);
  const resumes = jobs.reduce((sum, job) => sum + job.resumes, 0);
  console.log(
    `${counts.server} servers, ${counts.job} jobs and ${counts.database} databases were killed; ${jobs.length} jobs, ${numEvents} events, ${resumes} times told to go on`,
  );
  console.log(`lost: ${lost.length}, made twice: ${twice}, with other weights: ${other.length}`);
  if (lost.length + other.length + Math.abs(twice) > 0) process.exitCode = 1;
}

run()
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => {
    server?.child.removeAllListeners('exit');
    server?.child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });
