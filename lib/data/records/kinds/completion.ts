import { badRecord, isGiven, textOf } from './fields.js';
import type { Kind } from './kind.js';

export const completionKind: Kind = {
  fields: '`prompt` and `completion`',
  matches: (fields) => isGiven(fields['prompt']) || isGiven(fields['completion']),
  read({ place, fields }) {
    const prompt = textOf(place, fields['prompt'], 'prompt');
    const completion = textOf(place, fields['completion'], 'completion');
    if (completion === '')
      throw badRecord(place, 'has an empty completion', {
        expected: 'some text in `completion`, which is what is learnt',
        remedy: 'Leave the record out',
      });
    return { kind: 'completion', prompt, completion };
  },
};
