import type { DataRecord } from '../readers/index.js';
import type { CompletionExample } from './example.js';
import { badRecord, isGiven, textOf } from './fields.js';
import type { Kind } from './kind.js';

export const completionKind: Kind = {
  fields: '`prompt` and `completion`',
  matches: (fields) => isGiven(fields['prompt']) || isGiven(fields['completion']),
  read: (record) => readCompletion(record, 'completion'),
};

/** @param name of the field that holds the continuation of `prompt` */
export function readCompletion({ place, fields }: DataRecord, name: string): CompletionExample {
  const prompt = textOf(place, fields['prompt'], 'prompt');
  const completion = textOf(place, fields[name], name);
  if (completion === '')
    throw badRecord(place, name === 'completion' ? 'has an empty completion' : `has an empty \`${name}\``, {
      expected: `some text in \`${name}\`, which is what is learnt`,
      remedy: 'Leave the record out',
    });
  return { kind: 'completion', prompt, completion };
}
