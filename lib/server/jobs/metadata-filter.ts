import type { Labels } from '../../jobs/job.js';

const inBrackets = /^metadata\[(.{1,64})\]$/su;

/** Of the query of a list of jobs, beside its page. */
export const metadataFilterSchema = {
  properties: {
    metadata: { enum: ['null', ''], description: "'null': jobs without metadata" },
  },
  patternProperties: {
    [inBrackets.source]: {
      type: 'string',
      description: 'a text of at most 512 characters, which jobs have under that name in their metadata',
      maxLength: 512,
    },
  },
};

/** `metadata[name]=text` for each text that jobs are to have, or `metadata=null` for those that have none. */
export function metadataFilter(query: Readonly<Record<string, unknown>>): Labels | null {
  if (query['metadata'] !== undefined) return null;
  return Object.fromEntries(
    Object.entries(query).flatMap(([key, text]) => {
      const [, name] = inBrackets.exec(key) ?? [];
      return name === undefined ? [] : [[name, String(text)]];
    }),
  );
}
