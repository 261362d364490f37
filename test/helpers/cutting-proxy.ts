import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** What becomes of a connection that sends the word. */
export type Cut = 'before' | 'after';

/**
 * Stands before a server on a socket, and cuts a connection when a word is sent: before the server gets it, or after the
 * server has answered, of which whoever sent it hears nothing.
 */
export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #cuts: Cut[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param path of its own socket @param target of the server's */
  static async listen(path: string, target: string, word: string): Promise<CuttingProxy> {
    const server = createServer();
    const proxy = new CuttingProxy(server);
    server.on('connection', (client) => proxy.#join(client, connect(target), word));
    server.listen(path);
    await once(server, 'listening');
    return proxy;
  }

  /** How the next connections that send the word are cut. */
  cutNext(...cuts: readonly Cut[]): void {
    this.#cuts.push(...cuts);
  }

  get numCutsToCome(): number {
    return this.#cuts.length;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket, server: Socket, word: string): void {
    let isCut = false;
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (data) => {
      const cut = data.includes(word) ? this.#cuts.shift() : undefined;
      if (cut === 'before') client.destroy();
      else server.write(data);
      isCut ||= cut === 'after';
    });
    server.on('data', (data) => {
      if (isCut) client.destroy();
      else client.write(data);
    });
  }
}
