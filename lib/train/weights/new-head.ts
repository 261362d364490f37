import { buildForward } from '../../compile/forward.js';
import { compactError } from '../../errors.js';
import { parametersOf, type Model } from '../../graph/index.js';
import { formsOf, type Method } from '../../methods/index.js';
import type { BaseModel } from './base-model.js';

type Base = Pick<BaseModel, 'path' | 'newParameters'>;

/**
 * Weights of a head that those to start from do not have have to be trained, or to have adapters that are: else they would
 * stay as they were drawn.
 * @throws ERR_COMPACT_CONFIG_VALUE for a method that freezes one
 */
export function checkNewHead(model: Model, method: Method, base: Base | undefined): void {
  const names = base?.newParameters ?? [];
  if (names.length === 0) return;
  const sizes = {
    batchSize: model.sequencesOfExample ?? 1,
    sequenceLength: Math.min(64, model.maxSequenceLength),
    dtype: 'f32',
  } as const;
  const forms = [...formsOf(method).values()];
  const trained = parametersOf(buildForward('step', model, { ...sizes, purpose: 'train' }, method)).filter(
    (parameter) => forms.some((form) => form.isTrained?.(parameter) !== false),
  );
  const isLearnt = (weight: string): boolean =>
    trained.some(
      ({ name, parameter }) =>
        name === weight ||
        (parameter!.adapts !== undefined && name.startsWith(weight.replace(/weight$/, ''))),
    );
  const frozen = names.find((name) => name.endsWith('.weight') && !isLearnt(name));
  if (frozen === undefined) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${method.name} would leave the head as it is drawn`, {
    op: 'method',
    expected: `a method that trains ${frozen}, which ${base!.path} does not have`,
    received: method.name,
    remedy:
      "Train with 'compact' or 'dense', let adapters stand beside all linear layers (targetModules 'all-linear'), or start from a model that has this head",
  });
}

/** Tells of a head that is new. */
export function headWarnings(base: Base | undefined): readonly string[] {
  const [first, ...more] = base?.newParameters ?? [];
  if (first === undefined) return [];
  const names = more.length === 0 ? first : `${first} and ${more.length} more`;
  return [
    `The head is new, as ${base!.path} does not have it: ${names} start from random numbers or constants.`,
  ];
}
