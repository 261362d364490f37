import type { FastifyReply } from 'fastify';

const works = new WeakMap<FastifyReply['raw'], (() => void)[]>();

/**
 * Does something when an answer has been sent, or its client has gone, which may have been before. All of it hangs on one
 * listener: Node warns of those who add many.
 */
export function onceClosed({ raw }: FastifyReply, work: () => void): void {
  if (raw.destroyed) {
    work();
    return;
  }
  const before = works.get(raw);
  if (before !== undefined) {
    before.push(work);
    return;
  }
  const all = [work];
  works.set(raw, all);
  raw.once('close', () => {
    for (const one of all) one();
  });
}

/** Aborted when the client has gone, the answer has been sent, or the server is about to stop. */
export function clientSignal(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  onceClosed(reply, () => gone.abort());
  return AbortSignal.any([gone.signal, closing]);
}
