import * as v from 'valibot';
import { compactError, nearestName } from '../errors.js';
import { parametersOf, type Program, type Value } from '../graph/index.js';
import { namedText, optional } from '../options.js';

const expected = 'names of parameters, in which * stands for any text';

/** The option `frozen` of every method. */
export const frozenRow = optional(v.array(namedText(expected), `a list of ${expected}`));

/** Whether a parameter's name is one of these, or fits one in which * stands for any text. */
export function isFrozenBy(patterns: readonly string[]): (parameter: Pick<Value, 'name'>) => boolean {
  const expressions = patterns.map(expressionOf);
  return ({ name }) => expressions.some((expression) => expression.test(name));
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[$()+.?[\\\]^{|}]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`);
}

/**
 * A program as it is, if every pattern fits some parameter, and something is left to train.
 * @throws ERR_COMPACT_CONFIG_VALUE with the nearest name
 */
export const requireFrozen =
  (method: string, patterns: readonly string[], isTrained: (parameter: Value) => boolean) =>
  (forward: Program): Program => {
    const parameters = parametersOf(forward);
    const idle = patterns.find((pattern) => !parameters.some(isFrozenBy([pattern])));
    if (idle !== undefined) {
      const nearest = nearestName(
        idle,
        parameters.map(({ name }) => name),
      );
      throw compactError('ERR_COMPACT_CONFIG_VALUE', `${method}: the model has no parameter ${idle}`, {
        op: 'frozen',
        expected: `a name such as ${parameters[0]?.name ?? 'those of its checkpoint'}, or a pattern of such names`,
        received: idle,
        remedy: nearest && `Did you mean '${nearest}'?`,
      });
    }
    if (parameters.some(isTrained)) return forward;
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${method}: nothing is left to train`, {
      op: 'frozen',
      expected: 'patterns that leave some parameters',
      received: patterns.join(', '),
    });
  };
