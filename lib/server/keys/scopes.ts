/** What a key may do: see files, jobs and models; upload and delete; create and change jobs; have text written; keys. */
export const scopes = ['read', 'files', 'jobs', 'generate', 'admin'] as const;
/** One of `scopes`. */
export type Scope = (typeof scopes)[number];

/** Of a key of which nothing else is said. */
export const usualScopes: readonly Scope[] = ['read', 'files', 'jobs', 'generate'];
