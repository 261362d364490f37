import type multipart from '@fastify/multipart';
import type * as Fastify from 'fastify';
import type * as TarStream from 'tar-stream';
import { compactError } from '../errors.js';

interface ServerPackages {
  fastify: typeof Fastify;
  '@fastify/multipart': typeof multipart;
  'tar-stream': typeof TarStream;
}

const installCommand = 'npm install fastify @fastify/multipart tar-stream';

/**
 * A package that only a server needs, loaded when it is needed.
 * @throws ERR_COMPACT_PACKAGE_MISSING with the command that installs it
 */
export function loadPackage<N extends keyof ServerPackages>(name: N): ServerPackages[N] {
  try {
    return require(name) as ServerPackages[N];
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause;
    throw compactError('ERR_COMPACT_PACKAGE_MISSING', `the package ${name} is not installed`, {
      op: name,
      expected: 'the packages that a server needs',
      remedy: `Install them: ${installCommand}`,
      cause,
    });
  }
}
