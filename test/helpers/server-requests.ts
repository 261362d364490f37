/** Requests as any program would send them, without a client of the API. */
import type { RunningServer } from './running-server.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of an answer in JSON. */
  readonly body: Readonly<Record<string, unknown>> & { readonly error?: AnswerError };
}

export interface AnswerError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface RequestOptions {
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: string | Buffer | FormData;
  readonly signal?: AbortSignal;
}

/** @param line method and path, e.g. 'GET /v1/files' */
export async function ask(
  { url }: Pick<RunningServer, 'url'>,
  line: string,
  { key, headers, json, body, signal }: RequestOptions = {},
): Promise<Answer> {
  const [method, path] = line.split(' ') as [string, string];
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(json !== undefined && { body: JSON.stringify(json) }),
    ...(body !== undefined && { body: body as NonNullable<RequestInit['body']> }),
    ...(signal && { signal }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson ? JSON.parse(text) : {}) as Answer['body'],
  };
}

export function uploadForm(
  content: string | Buffer,
  { name = 'records.jsonl', purpose = 'fine-tune' }: { name?: string; purpose?: string } = {},
): FormData {
  const form = new FormData();
  form.append('purpose', purpose);
  form.append('file', new Blob([content]), name);
  return form;
}

/** Uploads records. @returns the id of the file */
export async function upload(
  server: Pick<RunningServer, 'url'>,
  key: string,
  records: readonly object[] = [{ prompt: 'a', completion: 'b' }],
): Promise<string> {
  const body = uploadForm(records.map((record) => JSON.stringify(record)).join('\n'));
  return (await ask(server, 'POST /v1/files', { key, body })).body['id'] as string;
}
