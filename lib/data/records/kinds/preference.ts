import { badRecord, isGiven } from './fields.js';
import type { Kind } from './kind.js';

/** Pairs of a better and a worse answer: known, so that they are not taken for something else. */
export const preferenceKind: Kind = {
  fields: '`chosen` and `rejected`',
  matches: (fields) => isGiven(fields['chosen']) && isGiven(fields['rejected']),
  read({ place }) {
    throw badRecord(place, 'is a preference pair', {
      expected: 'text, a prompt with its completion, messages, or a text with its label',
      remedy:
        'Training on pairs is not there yet. The better answers alone can be learnt: write each `chosen` as messages or completion',
    });
  },
};
