import { badRecord, isGiven, textOf } from './fields.js';
import type { Kind } from './kind.js';

export const textKind: Kind = {
  fields: '`text` (or the `textField` named)',
  matches: (fields, { textField }) => isGiven(fields[textField]),
  read({ place, fields }, { textField }) {
    const text = textOf(place, fields[textField], textField);
    if (text === '')
      throw badRecord(place, 'has an empty text', {
        expected: `some text in \`${textField}\``,
        remedy: 'Leave the record out',
      });
    return { kind: 'text', text };
  },
};
