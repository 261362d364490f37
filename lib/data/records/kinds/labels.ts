import { nearestName } from '../../../errors.js';
import { shown } from '../../../options.js';
import type { RecordPlace } from '../readers/index.js';
import { badRecord, checkWellFormed, isGiven, listOf, textOf } from './fields.js';
import type { Kind, KindOptions } from './kind.js';

/** Numbers of classes beyond it are no classes. */
const maxClasses = 2 ** 24;

export const labelsKind: Kind = {
  fields: '`text` with `label`, or with `labels` for several classes at once',
  matches: (fields, { textField }) =>
    isGiven(fields[textField]) && (isGiven(fields['label']) || isGiven(fields['labels'])),
  read({ place, fields }, { textField, classes, regression, isMeaningOpen = false }) {
    const text = textOf(place, fields[textField], textField);
    const { label, labels } = fields;
    if (regression === true)
      return { kind: 'labels', text, labels: [numberOf(place, label)], isMultiLabel: false };
    if (isGiven(label) === isGiven(labels))
      throw badRecord(place, isGiven(label) ? 'has both `label` and `labels`' : 'has no `label`', {
        expected: 'one class in `label`, or a list of classes in `labels`',
      });
    const isMultiLabel = isGiven(labels);
    const given = isMultiLabel ? listOf(place, labels, 'labels') : [label];
    const name = isMultiLabel ? 'labels' : 'label';
    if (isMeaningOpen) {
      checkDifferent(
        place,
        given.map((item) => labelOf(place, item, name)),
      );
      return { kind: 'labels', text, labels: given.map(() => NaN), isMultiLabel };
    }
    const numbers = given.map((item) => classOf(place, item, name, classes));
    checkDifferent(place, numbers);
    return { kind: 'labels', text, labels: numbers, isMultiLabel };
  },
};

function checkDifferent(place: RecordPlace, labels: readonly (string | number)[]): void {
  const repeated = labels.find((label, i) => labels.indexOf(label) !== i);
  if (repeated !== undefined)
    throw badRecord(place, `names the class ${repeated} twice`, {
      expected: 'each class at most once',
    });
}

/** What can be a label, whatever it means. */
function labelOf(place: RecordPlace, label: unknown, name: string): string | number {
  checkWellFormed(place, label, name);
  if (typeof label === 'string' && label !== '') return label;
  if (typeof label === 'number' && Number.isFinite(Math.fround(label))) return label;
  throw badRecord(place, `has what is no label in \`${name}\``, {
    expected: 'the name of a class, its number, or a number that is to be predicted, within the range of f32',
    received: shown(label),
  });
}

/** A number as tables hold it, too; models read it in f32. */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The label of a regression. */
function numberOf(place: RecordPlace, label: unknown): number {
  const isDecimal = typeof label === 'string' && decimal.test(label.trim());
  const number = isDecimal ? Number(label) : label;
  if (typeof number === 'number' && Number.isFinite(Math.fround(number))) return number;
  throw badRecord(place, isGiven(label) ? 'has no number in `label`' : 'has no `label`', {
    expected: 'a finite number in `label`, within the range of f32',
    received: shown(label),
    remedy: typeof label === 'string' && !isDecimal ? 'Classes by name need a model for classes' : undefined,
  });
}

/** The number of a class that is given as a number, as its digits (tables hold texts), or by its name. */
function classOf(place: RecordPlace, label: unknown, name: string, classes: KindOptions['classes']): number {
  const names = typeof classes === 'object' ? classes : [];
  const named = typeof label === 'string' ? names.indexOf(label) : -1;
  if (named >= 0) return named;
  const number = typeof label === 'string' && /^\d{1,8}$/.test(label) ? Number(label) : label;
  const numClasses = typeof classes === 'object' ? classes.length : (classes ?? maxClasses);
  if (Number.isInteger(number) && (number as number) >= 0 && (number as number) < numClasses)
    return number as number;
  const nearest = typeof label === 'string' ? nearestName(label, names) : undefined;
  throw badRecord(place, `has a class in \`${name}\` that there is not`, {
    expected:
      names.length > 0
        ? `one of ${names.join(', ')}, or a whole number from 0 to ${numClasses - 1}`
        : `a whole number from 0 to ${numClasses - 1}`,
    received: shown(label),
    remedy: nearest === undefined ? remedyFor(label, classes) : `Did you mean ${nearest}?`,
  });
}

function remedyFor(label: unknown, classes: KindOptions['classes']): string | undefined {
  if (typeof label === 'string' && classes === undefined)
    return "Name the classes in their order, classes: ['first', 'second']";
  return Number.isInteger(label)
    ? 'Classes are counted from 0; say how many there are with `classes`'
    : undefined;
}
