/** Where secrets may stand in what is logged. */
export const logRedaction = {
  paths: [
    'authorization',
    'headers.authorization',
    'headers.cookie',
    'req.headers.authorization',
    'req.headers.cookie',
    'request.headers.authorization',
    'secret',
    '*.secret',
  ],
  censor: '[redacted]',
} as const;
