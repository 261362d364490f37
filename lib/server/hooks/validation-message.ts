import type { FastifyError } from 'fastify';
import { nearestName } from '../../errors.js';
import { shown } from '../../options.js';
import { ApiError } from '../api-error.js';

type OfFastify = NonNullable<FastifyError['validation']>[number];

/** What a compiler with `verbose` tells beside. */
interface Finding extends OfFastify {
  readonly data?: unknown;
  readonly parentSchema?: Schema;
}

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** What a request has that its route's schema does not allow, in the words of the schema's descriptions. */
export function validationError(findings: readonly Finding[]): ApiError {
  // Of a choice, what is wrong with each of its sides comes first, and the choice last.
  const finding = findings.find(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf') ?? findings[0]!;
  const { keyword, params, parentSchema } = finding;
  const path = finding.instancePath.split('/').slice(1).map(unescapePointer);
  const within = (key: unknown): string => [...path, String(key)].join('.').slice(0, 200);
  if (keyword === 'required') {
    const param = within(params['missingProperty']);
    const { description } = parentSchema?.properties?.[String(params['missingProperty'])] ?? {};
    return new ApiError(
      'missing_required_parameter',
      [`${param} is missing`, ...expected(description)].join('; '),
      {
        param,
      },
    );
  }
  if (keyword === 'additionalProperties') {
    const param = within(params['additionalProperty']);
    const known = Object.keys(parentSchema?.properties ?? {});
    const nearest = nearestName(String(params['additionalProperty']), known);
    const remedy = nearest === undefined ? '' : `. Did you mean '${nearest}'?`;
    return new ApiError('unknown_parameter', `Unknown parameter ${shown(param)}${remedy}`, { param });
  }
  const param = path.join('.').slice(0, 200);
  const name = param === '' ? 'The body' : param;
  const words = expected(parentSchema?.description ?? finding.message);
  return new ApiError(
    'invalid_value',
    [`${name} is not possible`, ...words, `received ${shown(finding.data)}`].join('; '),
    { param: param === '' ? undefined : param },
  );
}

const expected = (description: string | undefined): readonly string[] =>
  description === undefined ? [] : [`expected ${description}`];

const unescapePointer = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~');
