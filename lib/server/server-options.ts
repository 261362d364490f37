import type { Database } from '../jobs/database.js';
import type { JobService } from '../jobs/job-service.js';
import { tracerSchema, type Tracer } from '../jobs/tracer.js';
import {
  checkOptions,
  optional,
  path,
  section,
  wholeNumber,
  type Checked,
  type OptionTable,
} from '../options.js';
import * as v from 'valibot';
import { engineTable } from '../runtime/options.js';
import { withoutDefaults } from '../options.js';
import type { SamplerOptions } from '../train/index.js';

/** What one client, or all of them together, may take of a server. */
export interface ServerLimits {
  /** Bytes of a request's JSON. Default 4 MiB. */
  readonly bodyBytes?: number;
  /** Bytes of an uploaded file. Default 512 MiB. */
  readonly fileBytes?: number;
  /** Bytes of a line of a file. Default 4 MiB. */
  readonly lineBytes?: number;
  /** Lines of a file. Default 5,000,000. */
  readonly fileLines?: number;
  /** Uploads of one key at a time. Default 4. */
  readonly uploads?: number;
  /** Plans that are made for one key at a time. Default 2. */
  readonly plans?: number;
  /** Streams of events that one key reads at a time. Default 16. */
  readonly streams?: number;
  /** Texts that one key waits for at a time. Default 4. */
  readonly generations?: number;
  /** Models that are open at a time, to write text. Default 1. */
  readonly openModels?: number;
  /** Tokens of a text that is written. Default 4096. */
  readonly newTokens?: number;
  /** Milliseconds between signs of life of a stream in which nothing happens. Default 15,000. */
  readonly heartbeatMs?: number;
  /** Milliseconds after which a client is dropped that neither sends nor reads. Default 60,000. */
  readonly stallMs?: number;
}

/** What a server stands on; it closes none of it. */
export interface ServerOptions {
  /** Holds `models`, folders in Hugging Face's layout that clients may use by name, and `files`, what they uploaded. */
  readonly dataDirectory: string;
  readonly jobs: JobService;
  /** Keys, files and what was done; may be that of the jobs. */
  readonly database: Database;
  readonly limits?: ServerLimits;
  /** How models are opened that write text. */
  readonly sampler?: Pick<SamplerOptions, 'device' | 'threads' | 'memoryLimitBytes'>;
  /** Is told of each request; of jobs tells that of `JobQueueOptions`. Default: nobody is. */
  readonly tracer?: Tracer;
}

export const limitsTable = {
  bodyBytes: optional(wholeNumber(1024), 4 * 2 ** 20),
  fileBytes: optional(wholeNumber(1), 512 * 2 ** 20),
  lineBytes: optional(wholeNumber(1), 4 * 2 ** 20),
  fileLines: optional(wholeNumber(1), 5_000_000),
  uploads: optional(wholeNumber(1), 4),
  plans: optional(wholeNumber(1), 2),
  streams: optional(wholeNumber(1), 16),
  generations: optional(wholeNumber(1), 4),
  openModels: optional(wholeNumber(1), 1),
  newTokens: optional(wholeNumber(1), 4096),
  heartbeatMs: optional(wholeNumber(1), 15_000),
  stallMs: optional(wholeNumber(1), 60_000),
} satisfies OptionTable<ServerLimits>;

/** All limits. */
export type Limits = Required<Checked<typeof limitsTable>>;

const { device, threads, memoryLimitBytes } = withoutDefaults(engineTable);
const samplerTable = { device, threads, memoryLimitBytes };

const objectWith = <T>(method: string, expected: string) =>
  v.custom<T>(
    (value) => typeof (value as Readonly<Record<string, unknown>> | null)?.[method] === 'function',
    expected,
  );

const serverTable = {
  dataDirectory: path,
  jobs: objectWith<JobService>('create', 'a JobService'),
  database: objectWith<Database>('transaction', 'a Database'),
  limits: optional(section, {}),
  sampler: optional(section, {}),
  tracer: optional(tracerSchema),
};

export interface CheckedServerOptions extends Omit<Required<ServerOptions>, 'limits' | 'tracer'> {
  readonly limits: Limits;
  readonly tracer?: Tracer;
}

/** @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_* */
export function checkServerOptions(given: ServerOptions): CheckedServerOptions {
  const options = checkOptions(given, serverTable, { what: 'a server' });
  const limits = checkOptions(options.limits, limitsTable, { what: 'limits', prefix: 'limits.' });
  const sampler = checkOptions(options.sampler, samplerTable, { what: 'sampler', prefix: 'sampler.' });
  return { ...options, limits, sampler };
}
