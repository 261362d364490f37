import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import { compactError } from '../errors.js';
import {
  byteCount,
  checkOptions,
  functionOf,
  namedText,
  numberAbove,
  optional,
  path,
  section,
  wholeNumber,
  type Checked,
  type OptionTable,
} from '../options.js';
import type { JobDevice } from './device-memory.js';
import type { JobStore } from './job-store.js';
import type { Retention } from './retention.js';
import { tracerSchema, type Tracer } from './tracer.js';

/** Options of `JobQueue.open`. */
export interface JobQueueOptions {
  readonly store: JobStore;
  /** Files of jobs go to `jobs` in it, models that are made of presets to `presets`. */
  readonly directory: string;
  /**
   * What jobs may take of the CPU's memory together; a number, or text with a unit. Default: 80 % of what is free when the queue
   * is opened, and again while a job waits for more of it and none runs. Where `devices` are given it stands there.
   */
  readonly memoryLimitBytes?: number | string;
  /** Devices for jobs. Default: the CPU and every GPU that can be used, with what of their memory is free. */
  readonly devices?: readonly JobDevice[];
  /** Jobs side by side at most. Default: as many as there are cores, or devices where those are more. */
  readonly maxRunning?: number;
  /** Name of this server among those that share a database; another one each time. Default: a random one. */
  readonly server?: string;
  /**
   * How often others are told that this server is alive, and the queue is looked into. Default 5000 ms, or a quarter of
   * `lostAfterMs` where that is less.
   */
  readonly renewMs?: number;
  /** After what silence another server's jobs are taken over; the same for all servers of a database. Default 60,000 ms. */
  readonly lostAfterMs?: number;
  /** What a job that is to be paused may take for its step and its checkpoint before it is killed. Default 600,000 ms. */
  readonly pauseGraceMs?: number;
  /** What is kept of jobs that have ended; looked after each hour. Default: all of it, for ever. */
  readonly retention?: Retention;
  /** Is told of each attempt at a job. Default: nobody is. */
  readonly tracer?: Tracer;
  /** Told what goes wrong and is tried again. Default: a warning of the process. */
  readonly onProblem?: (problem: unknown) => void;
}

const store = v.custom<JobStore>(
  (value) => typeof (value as Partial<JobStore> | null)?.claim === 'function',
  'a store of jobs',
);
const device = v.pipe(
  v.strictObject({
    name: namedText('a device'),
    memoryBytes: wholeNumber(1),
    capacityBytes: optional(wholeNumber(1)),
  }),
  v.check(
    ({ memoryBytes, capacityBytes = memoryBytes }) => capacityBytes >= memoryBytes,
    'a device whose capacityBytes are no less than its memoryBytes',
  ),
);
const deviceList = v.pipe(
  v.array(device, 'a list of devices, { name, memoryBytes, capacityBytes }'),
  v.nonEmpty('a device'),
);

const table = {
  store,
  directory: path,
  memoryLimitBytes: optional(byteCount),
  devices: optional(deviceList),
  maxRunning: optional(wholeNumber(1)),
  server: optional(namedText('a name'), () => `server-${randomUUID()}`),
  renewMs: optional(wholeNumber(1)),
  lostAfterMs: optional(wholeNumber(2), 60_000),
  pauseGraceMs: optional(wholeNumber(1), 600_000),
  retention: optional(section),
  tracer: optional(tracerSchema),
  onProblem: optional(
    functionOf<NonNullable<JobQueueOptions['onProblem']>>('a function'),
    () => (problem: unknown) => process.emitWarning(problem as Error),
  ),
} satisfies OptionTable<JobQueueOptions>;

const retentionTable = {
  endedDays: optional(numberAbove(0)),
  maxEvents: optional(wholeNumber(0)),
} satisfies OptionTable<Retention>;

/** All options; of the retention too, where it is given. */
export type CheckedQueueOptions = Omit<Checked<typeof table>, 'retention' | 'renewMs'> & {
  readonly renewMs: number;
  readonly retention?: Retention;
};

const usualRenewMs = 5000;

/** @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE */
export function checkJobQueueOptions(given: JobQueueOptions): CheckedQueueOptions {
  const { retention, ...others } = checkOptions(given, table, { what: 'JobQueue.open' });
  const { lostAfterMs, renewMs = Math.min(usualRenewMs, Math.ceil(lostAfterMs / 4)) } = others;
  if (renewMs >= lostAfterMs) throw lostBeforeRenewed(renewMs, lostAfterMs);
  const options = {
    ...others,
    renewMs,
    ...(retention && {
      retention: checkOptions(retention, retentionTable, { what: 'retention', prefix: 'retention.' }),
    }),
  };
  const { memoryLimitBytes, devices } = options;
  if (memoryLimitBytes === undefined || devices === undefined) return options;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', 'memoryLimitBytes and devices exclude each other', {
    op: 'memoryLimitBytes',
    expected: 'memoryLimitBytes, or the memory of each device in devices',
    received: 'both',
    remedy: 'Leave one of them out',
  });
}

const lostBeforeRenewed = (renewMs: number, lostAfterMs: number): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', 'servers would be taken for lost before they renew', {
    op: 'renewMs',
    expected: `less than lostAfterMs, ${lostAfterMs}`,
    received: String(renewMs),
    remedy: 'Leave renewMs out, or give lostAfterMs more',
  });
