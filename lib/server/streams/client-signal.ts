import type { FastifyReply } from 'fastify';

/** Does something when an answer has been sent, or its client has gone, which may have been before. */
export function onceClosed({ raw }: FastifyReply, work: () => void): void {
  if (raw.destroyed) work();
  else raw.once('close', work);
}

/** Aborted when the client has gone, the answer has been sent, or the server is about to stop. */
export function clientSignal(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  onceClosed(reply, () => gone.abort());
  return AbortSignal.any([gone.signal, closing]);
}
