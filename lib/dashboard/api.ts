/** What the page asks of the server that it came from, by the key of who looks at it. */

/** A request that the server refused; `message` says why, and what to do. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Whether asking again later may help: the server is away, or busy. */
export const isPassing = (error: unknown): boolean =>
  !(error instanceof Refusal) || error.status >= 500 || error.status === 429;

/** This tab alone remembers the key. */
const keyName = 'compact-train-key';
export const storedKey = (): string | null => sessionStorage.getItem(keyName);
export function rememberKey(key: string | null): void {
  if (key === null) sessionStorage.removeItem(keyName);
  else sessionStorage.setItem(keyName, key);
}

/** @throws Refusal, TypeError when the server cannot be reached */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${storedKey() ?? ''}`);
  const response = await fetch(path, { ...init, headers });
  if (response.ok) return response;
  const { error } = (await response.json().catch(() => ({}))) as {
    error?: { code?: string; message?: string };
  };
  const message = error?.message ?? `The server answered ${response.status}`;
  throw new Refusal(response.status, error?.code ?? '', message);
}

/** @throws as `request` */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await request(path, { signal: signal ?? null })).json()) as T;
}

/** @throws as `request` */
export async function postJson<T>(path: string, body: object = {}): Promise<T> {
  const init = {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  };
  return (await (await request(path, init)).json()) as T;
}
