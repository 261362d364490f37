import { ApiError } from '../api-error.js';

/** What comes of a client's form; what its parser finds wrong with the form is an error of the client. */
export async function* fromClient<T>(pieces: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* pieces;
  } catch (cause) {
    // Fastify's own errors say more.
    if ((cause as { readonly statusCode?: number }).statusCode !== undefined) throw cause;
    throw new ApiError('invalid_value', `The form cannot be read: ${(cause as Error).message}`, {
      param: 'file',
      cause,
    });
  }
}
