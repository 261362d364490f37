import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';

/** Bytes that wait for a client which reads more slowly than they are made. */
const bufferedBytes = 64 * 1024;

/** One event of a stream, as the format of server-sent events has it. */
export function eventFrame(data: object | string, fields: { event?: string; id?: number } = {}): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  const heads = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  return `${heads.join('')}data: ${text}\n\n`;
}

/** Says that the stream lives. */
export const heartbeatFrame = ': alive\n\n';

/**
 * Sends frames as they are made. A frame is asked for only when there is room for it, so little waits for a client that does
 * not read; after `stallMs` without a byte going out it is dropped.
 */
export function sendEvents(
  reply: FastifyReply,
  frames: AsyncIterable<string>,
  stallMs: number,
): FastifyReply {
  dropWhenStalled(reply, stallMs);
  return reply
    .type('text/event-stream; charset=utf-8')
    .header('x-accel-buffering', 'no')
    .send(Readable.from(frames, { objectMode: false, highWaterMark: bufferedBytes }));
}

/** Closes the connection when nothing has gone over it, in either direction, for some milliseconds. */
export function dropWhenStalled(reply: FastifyReply, stallMs: number): void {
  reply.raw.setTimeout(stallMs, () => reply.raw.destroy());
}
