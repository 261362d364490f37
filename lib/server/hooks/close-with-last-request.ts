import type { FastifyInstance } from 'fastify';

/**
 * Lets a server that is told to close do so with the end of its last request. Node would wait for connections over which
 * nothing was asked yet, or nothing will be any more.
 */
export function closeWithLastRequest(app: FastifyInstance): void {
  let numRequests = 0;
  let isClosing = false;
  const closeWhenIdle = (): void => {
    if (isClosing && numRequests === 0) app.server.closeAllConnections();
  };
  app.server.on('request', (_, response) => {
    numRequests++;
    response.once('close', () => {
      numRequests--;
      closeWhenIdle();
    });
  });
  app.addHook('preClose', async () => {
    isClosing = true;
    setImmediate(closeWhenIdle); // when no connection comes any more
  });
}
