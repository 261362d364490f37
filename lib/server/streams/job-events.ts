import { finalStatuses, type Job, type JobEvent } from '../../jobs/job.js';
import type { JobService } from '../../jobs/job-service.js';
import { eventObject, warningEvent } from '../jobs/job-object.js';
import { Doorbell } from './doorbell.js';
import { eventFrame, heartbeatFrame } from './event-stream.js';

/** Events that are read at once. */
const eventsAtOnce = 100;
/** What a client waits before it connects again. */
const retryMs = 2000;

export interface JobEventsOptions {
  /** The last event that the client has seen; undefined for one that has seen none. */
  readonly after: number | undefined;
  readonly heartbeatMs: number;
  readonly dataDirectory: string;
  readonly signal: AbortSignal;
}

/**
 * The events of a job from one on, as frames, those to come included, until the job has ended: then a frame `end` with its
 * status. A paused job has not ended.
 */
export async function* jobEventFrames(
  jobs: JobService,
  job: Job,
  { after: given, heartbeatMs, dataDirectory, signal }: JobEventsOptions,
): AsyncGenerator<string> {
  const { id, owner } = job;
  const bell = new Doorbell();
  const endWatch = jobs.watch(id, () => bell.ring());
  const frame = (event: JobEvent): string =>
    eventFrame(eventObject(event, id, dataDirectory), { event: event.type, id: event.id });
  try {
    yield `retry: ${retryMs}\n\n`;
    const warning = given === undefined ? warningEvent(job) : undefined;
    if (warning !== undefined) yield frame(warning);
    let after = given ?? 0;
    while (!signal.aborted) {
      const current = await jobs.get(id, owner);
      const events = await jobs.events(id, owner, { after, limit: eventsAtOnce });
      for (const event of events) yield frame(event);
      after = events.at(-1)?.id ?? after;
      if (events.length > 0) continue;
      // Its status was read before its events: there are no others.
      if (current === undefined) return;
      if (finalStatuses.includes(current.status)) {
        yield eventFrame({ status: current.status }, { event: 'end' });
        return;
      }
      if (!(await bell.wait(heartbeatMs, signal))) yield heartbeatFrame;
    }
  } finally {
    endWatch();
  }
}
