import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.js';
import type { ApiKey, KeyStore } from '../keys/key-store.js';

/**
 * Finds the key of a request, and refuses what it may not do.
 * @throws ApiError invalid_api_key, insufficient_scope
 */
export async function authenticate(keys: KeyStore, request: FastifyRequest): Promise<void> {
  const { scope = 'admin' } = request.routeOptions.config;
  if (scope === 'open') return;
  const [, secret] = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(request.headers.authorization ?? '') ?? [];
  const key = secret === undefined ? undefined : await keys.find(secret);
  if (key === undefined)
    throw new ApiError(
      'invalid_api_key',
      secret === undefined
        ? 'No key was given. Send it as a header: Authorization: Bearer <key>'
        : 'The key is not one of this server, or was revoked',
    );
  request.apiKey = key;
  if (!key.scopes.includes(scope))
    throw new ApiError(
      'insufficient_scope',
      `This key may not do that: it needs the scope '${scope}', and has ${key.scopes.join(', ')}`,
    );
}

/** The key of a request on a route that needs one. */
export const keyOf = (request: FastifyRequest): ApiKey => request.apiKey!;
