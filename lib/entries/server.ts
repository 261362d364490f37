/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `compact-train/server`: OpenAI's API of fine-tuning over HTTP, in front of jobs of this package. It needs packages of its
 * own: `npm install fastify @fastify/multipart tar-stream`.
 *
 * @example
 * import { createServer, KeyStore } from 'compact-train/server';
 */
export * from '../server/index.js';
