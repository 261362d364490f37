/** Pages of lists, as the API has them. */

export interface PageQuery {
  readonly after?: string;
  readonly limit?: number;
}

export const maxPage = 100;

const properties = {
  after: {
    type: 'string',
    description: 'the id of the last item of the page before',
    pattern: '^[\\x21-\\x7e]{1,200}$',
  },
  limit: {
    type: 'integer',
    description: `a whole number from 1 to ${maxPage}`,
    minimum: 1,
    maximum: maxPage,
    default: 20,
  },
};

/** Of the query of a list. */
export const pageQuerySchema = (others: object = {}, patternProperties: object = {}): object => ({
  type: 'object',
  description: 'a page of the list',
  properties: { ...properties, ...others },
  patternProperties,
  additionalProperties: false,
});

/** Of the path of one thing. */
export const idParamsSchema = {
  type: 'object',
  properties: { id: { type: 'string', description: 'an id', maxLength: 300 } },
  required: ['id'],
};

export interface IdParams {
  readonly id: string;
}

export function listObject(data: readonly object[], hasMore: boolean): object {
  const ids = data.map((item) => (item as { readonly id?: string }).id ?? null);
  return { object: 'list', data, has_more: hasMore, first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null };
}
