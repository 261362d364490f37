import type { Socket } from 'node:net';
import { ApiError } from '../api-error.js';

/** Answers what is no request of HTTP at all, which no route and no hook sees. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { body } = new ApiError('invalid_value', 'This is not a request of HTTP');
  const text = JSON.stringify(body);
  const heads = [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ];
  socket.end(`${heads.join('\r\n')}\r\n\r\n${text}`);
}
