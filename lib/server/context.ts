import type { JobService } from '../jobs/job-service.js';
import type { AuditLog } from './audit-log.js';
import type { FileStore } from './files/file-store.js';
import type { ApiKey, KeyStore } from './keys/key-store.js';
import type { Scope } from './keys/scopes.js';
import type { ModelCatalogue } from './models/model-catalogue.js';
import type { OpenSamplers } from './models/open-samplers.js';
import type { OneAtATime } from './one-at-a-time.js';
import type { Limits } from './server-options.js';
import type { Slots } from './slots.js';

/** What the routes of a server share. */
export interface ServerContext {
  readonly dataDirectory: string;
  readonly limits: Limits;
  readonly jobs: JobService;
  readonly database: { query(sql: string): Promise<unknown> };
  readonly keys: KeyStore;
  readonly files: FileStore;
  readonly models: ModelCatalogue;
  readonly samplers: OpenSamplers;
  readonly audit: AuditLog;
  /** By owner: what decides by how many jobs there are. */
  readonly jobChanges: OneAtATime;
  readonly slots: Readonly<Record<'uploads' | 'plans' | 'streams' | 'generations', Slots>>;
  /** Aborted when the server is about to stop. */
  readonly closing: AbortSignal;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key has to be allowed for a route; 'open' needs no key. A route that says nothing is one for 'admin'. */
    scope?: Scope | 'open';
  }
  interface FastifyRequest {
    /** Whose request it is; null on routes that need no key. */
    apiKey: ApiKey | null;
  }
}
