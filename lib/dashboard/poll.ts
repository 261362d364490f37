import { getJson, isPassing } from './api.js';
import { notice } from './elements.js';

const intervalMs = 2000;
const away = 'The server cannot be reached. Trying again ...';

/**
 * Asks for the same again and again while a page is shown. A server that was there once and is away is waited for.
 * @throws as `getJson`
 */
export async function* poll<T>(path: string, signal: AbortSignal): AsyncGenerator<T> {
  yield await getJson<T>(path, signal);
  let isAway = false;
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
    try {
      const answer = await getJson<T>(path, signal);
      if (isAway) notice('');
      isAway = false;
      yield answer;
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error;
      isAway = true;
      notice(away);
    }
  }
}
