/**
 * What a client is told when something is wrong: `{ error: { message, type, param, code } }`, the shape that clients of
 * OpenAI's API know. Every code that there is stands here, with its status.
 */

export const apiErrors = {
  invalid_json: { status: 400, type: 'invalid_request_error' },
  invalid_value: { status: 400, type: 'invalid_request_error' },
  missing_required_parameter: { status: 400, type: 'invalid_request_error' },
  unknown_parameter: { status: 400, type: 'invalid_request_error' },
  unsupported_purpose: { status: 400, type: 'invalid_request_error' },
  invalid_file_format: { status: 400, type: 'invalid_request_error' },
  invalid_api_key: { status: 401, type: 'authentication_error' },
  insufficient_scope: { status: 403, type: 'permission_error' },
  unknown_url: { status: 404, type: 'invalid_request_error' },
  model_not_found: { status: 404, type: 'invalid_request_error' },
  file_not_found: { status: 404, type: 'invalid_request_error' },
  job_not_found: { status: 404, type: 'invalid_request_error' },
  key_not_found: { status: 404, type: 'invalid_request_error' },
  job_state: { status: 409, type: 'invalid_request_error' },
  file_in_use: { status: 409, type: 'invalid_request_error' },
  model_in_use: { status: 409, type: 'invalid_request_error' },
  request_too_large: { status: 413, type: 'invalid_request_error' },
  file_too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  does_not_fit: { status: 422, type: 'invalid_request_error' },
  jobs_limit: { status: 429, type: 'rate_limit_error' },
  storage_limit: { status: 429, type: 'rate_limit_error' },
  too_many_requests: { status: 429, type: 'rate_limit_error' },
  server_error: { status: 500, type: 'server_error' },
  package_missing: { status: 501, type: 'server_error' },
  unavailable: { status: 503, type: 'server_error' },
} as const;

/** One of `apiErrors`; docs/server.md says when each comes and what to do. */
export type ApiErrorCode = keyof typeof apiErrors;

export interface ApiErrorFields {
  /** The parameter that was wrong, as the client called it. */
  readonly param?: string | undefined;
  /** Structured extras for programs, e.g. the line of a broken file, or what would fit. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** An error that a client is told as it is. */
export class ApiError extends Error {
  readonly code: ApiErrorCode;
  readonly param: string | undefined;
  readonly details: ApiErrorFields['details'];

  constructor(code: ApiErrorCode, message: string, { param, details, cause }: ApiErrorFields = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ApiError';
    this.code = code;
    this.param = param;
    this.details = details;
  }

  get status(): number {
    return apiErrors[this.code].status;
  }

  get body(): object {
    const { message, code, param = null, details } = this;
    return { error: { message, type: apiErrors[code].type, param, code, ...(details && { details }) } };
  }
}

/**
 * What is not there, or somebody else's: both are told in the same words, so that nobody learns which.
 * @param nearest a name that there is, and may have been meant
 */
export function notFound(
  kind: 'model' | 'file' | 'job' | 'key',
  id: string,
  param?: string,
  nearest?: string,
): ApiError {
  const meant = nearest === undefined ? '' : `. Did you mean ${JSON.stringify(nearest)}?`;
  return new ApiError(
    `${kind}_not_found`,
    `There is no ${kind} ${JSON.stringify(id.slice(0, 200))}${meant}`,
    {
      param,
    },
  );
}
