import type { FastifyInstance } from 'fastify';
import type { ServerContext } from '../context.js';
import { keyOf } from '../hooks/authenticate.js';

/** Devices and how full they are, how many jobs run and wait, and the jobs of whoever asks: of others it tells numbers alone. */
export function registerStatus(app: FastifyInstance, { jobs }: ServerContext): void {
  app.get('/v1/compact/status', { config: { scope: 'read' } }, async (request) => {
    const { owner } = keyOf(request);
    const [{ devices, counts, runningJobs }, own] = await Promise.all([
      jobs.status(owner),
      jobs.count(owner),
    ]);
    return {
      object: 'compact.status',
      devices: devices.map(({ name, memoryBytes, capacityBytes, takenBytes }) => ({
        name,
        memory_bytes: memoryBytes,
        capacity_bytes: capacityBytes,
        taken_bytes: takenBytes,
      })),
      running: counts.running,
      queued: counts.queued,
      jobs: own,
      running_jobs: runningJobs,
    };
  });
}
