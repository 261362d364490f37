// The fine-tuning API inside of a Fastify server of your own:
//   npm install compact-train fastify @fastify/multipart tar-stream
//   node fastify.mjs
import fastify from 'fastify';
import { fineTuningApi, KeyStore, openJobService, openServerDatabase } from 'compact-train/server';

/** @param dataDirectory models, uploads, jobs, and the database of them */
export async function createApp(dataDirectory) {
  const database = await openServerDatabase(dataDirectory);
  const jobs = await openJobService(dataDirectory, database);
  const app = fastify({ routerOptions: { maxParamLength: 512 } });
  await app.register(fineTuningApi, { dataDirectory, jobs, database });
  app.get('/hello', async () => ({ hello: 'world' })); // the rest of your server
  app.addHook('onClose', async () => {
    await jobs.close(); // every job writes a checkpoint, and goes on with the next start
    await database.close();
  });
  return { app, keys: new KeyStore(database) };
}

if (process.argv[1] === import.meta.filename) {
  const { app, keys } = await createApp('server-data');
  const { secret } = await keys.create({ name: 'first' });
  console.log(await app.listen({ port: 8080 }), secret);
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void app.close());
}
