import { isPassing, request } from './api.js';
import type { JobEvent } from './types.js';
import { EventParser } from './event-parser.js';

const retryMs = 2000;

/**
 * The events of a job, those to come included, until it has ended. A connection that is lost is made again, and goes on
 * behind the last event that came. (EventSource cannot send a key.)
 * @throws Refusal
 */
export async function* readEvents(jobId: string, signal: AbortSignal): AsyncGenerator<JobEvent> {
  let lastId: string | undefined;
  while (!signal.aborted) {
    try {
      const headers: HeadersInit = lastId === undefined ? {} : { 'last-event-id': lastId };
      const path = `v1/compact/jobs/${encodeURIComponent(jobId)}/events/stream`;
      const { body } = await request(path, { headers, signal });
      const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        for (const { event, data, id } of parser.take(value)) {
          if (event === 'end') return;
          lastId = id ?? lastId;
          yield JSON.parse(data) as JobEvent;
        }
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}
