#!/usr/bin/env node
// Queues tiny jobs and waits until all are done:
//   node scripts/drain-jobs.cjs [jobs = 1000]
// Prints what the process that runs the queue holds after each tenth of them: resident memory, JavaScript heap, open files.
// Fails when a job does not succeed, or when the last tenth holds more files, or much more memory, than the second. Needs dist.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const count = Number(process.argv[2] ?? 1000);
const { openJobService, openServerDatabase } = require('../dist/entries/server.js');
const MiB = 2 ** 20;

/** Of Linux. */
const openFiles = () => fs.readdirSync('/proc/self/fd').length;

async function drain() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'compact-drain-'));
  const records = path.join(directory, 'records.jsonl');
  fs.writeFileSync(
    records,
    Array.from({ length: 4 }, (_, i) => JSON.stringify({ text: `${i} and ${i + 1}` })).join('\n'),
  );
  const database = await openServerDatabase(directory);
  const jobs = await openJobService(directory, database);
  const recipe = {
    model: { preset: 'llama-demo' },
    data: { records, validationFraction: 0 },
    ...{ method: 'compact', maxSteps: 1, batchSize: 1, sequenceLength: 16, saveSteps: 0, device: 'cpu' },
  };
  const held = [];
  try {
    const ids = [];
    for (let n = 0; n < count; n++) {
      const { id } = await jobs.create({ recipe, owner: 'drain', priority: 0, details: {} });
      ids.push(id);
    }
    for (const [n, id] of ids.entries()) {
      let job = await jobs.get(id, 'drain');
      while (job.status === 'queued' || job.status === 'running') {
        await new Promise((resolve) => setTimeout(resolve, 20));
        job = await jobs.get(id, 'drain');
      }
      if (job.status !== 'succeeded') throw new Error(`${id} is ${job.status}: ${job.error?.what}`);
      fs.rmSync(jobs.folder(id), { recursive: true }); // the disk is not what is looked at
      if ((n + 1) % Math.ceil(count / 10) !== 0) continue;
      global.gc?.();
      const { rss, heapUsed } = process.memoryUsage();
      held.push({
        jobs: n + 1,
        residentMiB: Math.round(rss / MiB),
        heapMiB: Math.round(heapUsed / MiB),
        files: openFiles(),
      });
      console.log(JSON.stringify(held.at(-1)));
    }
  } finally {
    await jobs.close({ graceMs: 0 });
    await database.close();
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  }
  const [, early] = held;
  const last = held.at(-1);
  if (last.files > early.files + 4 || last.residentMiB > 1.25 * early.residentMiB)
    throw new Error('what is held grows');
}

void drain().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
