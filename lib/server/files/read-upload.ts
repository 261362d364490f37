import type { Multipart } from '@fastify/multipart';
import type { Readable } from 'node:stream';
import { ApiError } from '../api-error.js';
import { fromClient } from './from-client.js';

/** What is needed of the store. */
type Receive<T> = (stream: Readable, filename: string) => Promise<T>;

const maxNameLength = 255;

/**
 * The parts of a form that uploads a file: `file`, and `purpose`, which is 'fine-tune'.
 * @param receive takes the file as it comes; what it gives is disposed of when another part is wrong
 * @throws ApiError
 */
export async function readUpload<T extends AsyncDisposable>(
  parts: AsyncIterable<Multipart>,
  receive: Receive<T>,
): Promise<{ readonly file: T; readonly filename: string }> {
  let file: T | undefined;
  let filename = '';
  let purpose: unknown;
  try {
    for await (const part of fromClient(parts)) {
      if (part.type === 'file') {
        if (part.fieldname !== 'file' || file !== undefined) throw unknownPart(part.fieldname);
        filename = checkName(part.filename);
        file = await receive(part.file, filename);
      } else if (part.fieldname === 'purpose') purpose = checkPurpose(part.value);
      else throw unknownPart(part.fieldname);
    }
    if (file === undefined) throw missing('file');
    if (purpose === undefined) throw missing('purpose');
    return { file, filename };
  } catch (error) {
    await file?.[Symbol.asyncDispose]();
    throw error;
  }
}

function checkName(filename: string | undefined): string {
  const name = filename ?? '';
  // Characters that terminals and logs would obey; the name is never part of a path.
  if (name !== '' && name.length <= maxNameLength && name.isWellFormed() && !/\p{Cc}/u.test(name))
    return name;
  throw new ApiError('invalid_value', 'The file has no name that is possible', { param: 'file' });
}

function checkPurpose(purpose: unknown): string {
  if (purpose === 'fine-tune') return purpose;
  throw new ApiError(
    'unsupported_purpose',
    `Files are for fine-tuning: purpose is 'fine-tune', and not ${JSON.stringify(purpose)?.slice(0, 80)}`,
    { param: 'purpose' },
  );
}

const unknownPart = (name: string): ApiError =>
  new ApiError(
    'unknown_parameter',
    `The form has a part ${JSON.stringify(name.slice(0, 80))}, which is unknown`,
    {
      param: name.slice(0, 80),
    },
  );

const missing = (param: string): ApiError =>
  new ApiError('missing_required_parameter', `${param} is missing`, { param });
