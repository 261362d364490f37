// Jobs inside of an Express server, without the API of OpenAI in between: the queue is asked itself.
//   npm install compact-train express
//   node express.mjs
import express from 'express';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openJobService, openServerDatabase } from 'compact-train/server';

/** Whose jobs they are, in a server with one user. */
const owner = 'me';

/** @param dataDirectory jobs, and the database of them */
export async function createApp(dataDirectory) {
  const database = await openServerDatabase(dataDirectory);
  const jobs = await openJobService(dataDirectory, database);
  const app = express();
  app.use(express.json({ limit: '10mb' }));

  // { "model": "folder of a model, or { preset }", "records": [{ "messages": [...] }, ...] }
  app.post('/trainings', async (request, response) => {
    const { model, records } = request.body;
    const folder = join(dataDirectory, 'records');
    const path = join(folder, `${Date.now()}-${Math.random().toString(36).slice(2)}.jsonl`);
    await mkdir(folder, { recursive: true });
    await writeFile(path, records.map((record) => JSON.stringify(record)).join('\n'));
    const recipe = { model, data: { records: path }, method: 'compact' };
    const job = await jobs.create({ recipe, owner, priority: 0, details: {} });
    response.status(201).json({ id: job.id, plannedBytes: job.plan.plannedBytes });
  });

  app.get('/trainings/:id', async (request, response) => {
    const job = await jobs.get(request.params.id, owner);
    if (job === undefined) return response.sendStatus(404);
    const { status, step, plan, result, error } = job;
    return response.json({ status, step, maxSteps: plan.maxSteps, loss: result?.loss, error: error?.what });
  });

  // What is refused has a sentence that says why, and what to do.
  app.use((error, _request, response, _next) =>
    response.status(400).json({ code: error.code, message: error.message }),
  );
  const close = async () => {
    await jobs.close();
    await database.close();
  };
  return { app, close };
}

if (process.argv[1] === import.meta.filename) {
  const { app, close } = await createApp('server-data');
  const server = app.listen(8080, () => console.log('http://127.0.0.1:8080'));
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => server.close(() => void close()));
}
