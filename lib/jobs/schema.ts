import type { Migration } from './migrate.js';

/**
 * Tables of jobs. Once a version is released its statements stay as they are. Types are those that both databases know: what
 * has parts is JSON as text, times are milliseconds since 1970.
 *
 * The order of jobs is that of `sequence`, counted in one row that whoever creates a job holds meanwhile: a job that is
 * there later has a higher number, whatever clocks say.
 */
export const jobMigrations: readonly Migration[] = [
  {
    version: 1,
    statements: [
      'CREATE TABLE compact_job_sequence (value BIGINT NOT NULL)',
      'INSERT INTO compact_job_sequence (value) VALUES (0)',
      `CREATE TABLE compact_jobs (
        sequence BIGINT PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        idempotency_key TEXT,
        priority BIGINT NOT NULL,
        recipe TEXT NOT NULL,
        details TEXT NOT NULL,
        plan TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        status TEXT NOT NULL,
        stop_request TEXT,
        server TEXT,
        started_at BIGINT,
        finished_at BIGINT,
        attempts BIGINT NOT NULL,
        step BIGINT NOT NULL,
        trained_tokens BIGINT NOT NULL,
        error TEXT,
        result TEXT,
        num_events BIGINT NOT NULL,
        num_metrics BIGINT NOT NULL,
        last_metrics TEXT NOT NULL,
        UNIQUE (owner, idempotency_key)
      )`,
      'CREATE INDEX compact_jobs_queue ON compact_jobs (status, priority DESC, sequence)',
      'CREATE INDEX compact_jobs_of_owner ON compact_jobs (owner, sequence)',
      `CREATE TABLE compact_job_events (
        job BIGINT NOT NULL REFERENCES compact_jobs (sequence) ON DELETE CASCADE,
        id BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        type TEXT NOT NULL,
        content TEXT NOT NULL,
        PRIMARY KEY (job, id)
      )`,
      `CREATE TABLE compact_job_checkpoints (
        job BIGINT NOT NULL REFERENCES compact_jobs (sequence) ON DELETE CASCADE,
        step BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        path TEXT NOT NULL,
        metrics TEXT NOT NULL,
        PRIMARY KEY (job, step)
      )`,
      'CREATE TABLE compact_job_servers (name TEXT PRIMARY KEY, beats BIGINT NOT NULL)',
    ],
  },
  { version: 2, statements: ['ALTER TABLE compact_jobs ADD COLUMN losses BIGINT NOT NULL DEFAULT 0'] },
  {
    version: 3,
    statements: [
      `CREATE TABLE compact_job_needs (
        job BIGINT NOT NULL REFERENCES compact_jobs (sequence) ON DELETE CASCADE,
        name TEXT NOT NULL,
        PRIMARY KEY (name, job)
      )`,
      'CREATE INDEX compact_job_needs_of_job ON compact_job_needs (job)',
      'CREATE TABLE compact_retired (name TEXT PRIMARY KEY)',
      // Names and values are JSON: a database cannot keep all texts as they are.
      `CREATE TABLE compact_job_labels (
        job BIGINT NOT NULL REFERENCES compact_jobs (sequence) ON DELETE CASCADE,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (job, name)
      )`,
    ],
  },
];
