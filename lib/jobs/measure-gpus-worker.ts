import { cudaReport } from '../runtime/index.js';
import type { JobDevice } from './device-memory.js';
import { serveTask } from './process/serve-task.js';

/** A process of measure-devices.ts. */
serveTask(() =>
  Promise.resolve(
    cudaReport({ probe: true }).devices.flatMap(({ index, freeBytes, totalBytes }): readonly JobDevice[] =>
      freeBytes === null
        ? []
        : [{ name: `cuda:${index}`, memoryBytes: freeBytes, capacityBytes: totalBytes }],
    ),
  ),
);
