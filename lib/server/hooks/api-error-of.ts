import type { FastifyError } from 'fastify';
import { isCompactError, type CompactError, type CompactErrorCode } from '../../errors.js';
import { ApiError, type ApiErrorCode } from '../api-error.js';
import { validationError } from './validation-message.js';
import { withoutPaths } from './without-paths.js';

/** What errors of the package are to a client; of every other code it is told nothing but that something failed. */
const codes: Partial<Record<CompactErrorCode, ApiErrorCode>> = {
  ERR_COMPACT_ARGUMENT: 'invalid_value',
  ERR_COMPACT_TYPE: 'invalid_value',
  ERR_COMPACT_SHAPE: 'invalid_value',
  ERR_COMPACT_CONFIG_UNKNOWN_KEY: 'unknown_parameter',
  ERR_COMPACT_CONFIG_VALUE: 'invalid_value',
  ERR_COMPACT_MODEL_UNKNOWN: 'invalid_value',
  ERR_COMPACT_MODEL_READ: 'invalid_value',
  ERR_COMPACT_RANK: 'invalid_value',
  ERR_COMPACT_TOKENIZER: 'invalid_value',
  ERR_COMPACT_CHAT_TEMPLATE: 'invalid_value',
  ERR_COMPACT_CHECKPOINT_MISSING: 'invalid_value',
  ERR_COMPACT_CHECKPOINT_MISMATCH: 'invalid_value',
  ERR_COMPACT_CHECKPOINT_INVALID: 'invalid_value',
  ERR_COMPACT_DATA_EMPTY: 'invalid_file_format',
  ERR_COMPACT_DATA_BINARY: 'invalid_file_format',
  ERR_COMPACT_DATA_FORMAT: 'invalid_file_format',
  ERR_COMPACT_DATA_RECORD: 'invalid_file_format',
  ERR_COMPACT_DATA_TOO_SHORT: 'invalid_file_format',
  ERR_COMPACT_DOES_NOT_FIT: 'does_not_fit',
  ERR_COMPACT_OUT_OF_MEMORY: 'does_not_fit',
  ERR_COMPACT_JOB_UNKNOWN: 'job_not_found',
  ERR_COMPACT_JOB_STATE: 'job_state',
  ERR_COMPACT_STORE: 'unavailable',
  ERR_COMPACT_DISPOSED: 'unavailable',
  ERR_COMPACT_ABORTED: 'unavailable',
  ERR_COMPACT_CHECKPOINT_WRITE: 'unavailable',
  ERR_COMPACT_DEVICE_UNAVAILABLE: 'unavailable',
};

/** Codes of Fastify and of its parser of forms. */
const fastifyCodes: Readonly<Record<string, ApiErrorCode>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'request_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_INVALID_MULTIPART_CONTENT_TYPE: 'unsupported_media_type',
  FST_REQ_FILE_TOO_LARGE: 'file_too_large',
};

/** What a client is told of an error, whatever it is. */
export function apiErrorOf(error: unknown, dataDirectory: string): ApiError {
  if (error instanceof ApiError) return error;
  if (isCompactError(error)) return ofCompactError(error, dataDirectory);
  const { validation, code, statusCode, message } = error as Partial<FastifyError>;
  if (validation !== undefined) return validationError(validation);
  const known = code === undefined ? undefined : fastifyCodes[code];
  if (known !== undefined) return new ApiError(known, message!, { cause: error });
  // Other mistakes of a client that Fastify finds, e.g. a body that is shorter than was said.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new ApiError('invalid_value', message!, { cause: error });
  return serverError(error);
}

function ofCompactError(error: CompactError, dataDirectory: string): ApiError {
  const { message, op, details } = error;
  if (error.code === 'ERR_COMPACT_PACKAGE_MISSING')
    return new ApiError('package_missing', message, { cause: error });
  const code = codes[error.code];
  if (code === undefined || code === 'unavailable') return code ? unavailable(error) : serverError(error);
  const isOfFile = code === 'invalid_file_format';
  return new ApiError(code, withoutPaths(message, dataDirectory), {
    param: isOfFile ? 'training_file' : op,
    details: details && withoutPathsIn(details, dataDirectory),
    cause: error,
  });
}

const withoutPathsIn = (
  details: Readonly<Record<string, unknown>>,
  dataDirectory: string,
): Readonly<Record<string, unknown>> =>
  JSON.parse(JSON.stringify(details), (_, value: unknown) =>
    typeof value === 'string' ? withoutPaths(value, dataDirectory) : value,
  ) as Readonly<Record<string, unknown>>;

const unavailable = (cause: unknown): ApiError =>
  new ApiError('unavailable', 'The server cannot do that just now. Ask again in a while', { cause });

const serverError = (cause: unknown): ApiError =>
  new ApiError(
    'server_error',
    'Something failed in the server; its log tells what, under the id of this request',
    {
      cause,
    },
  );
