import * as v from 'valibot';
import { compactError } from '../errors.js';
import { valueKinds } from '../graph/index.js';
import { checkValue, oneOf, recordOf, wholeNumber } from '../options.js';
import { type Plan, type PlanEntry, planVersion } from './plan.js';

const count = wholeNumber(0);
const text = v.string('text');
const flag = v.boolean('true or false');
const listOf = <T>(item: v.GenericSchema<unknown, T>) => v.array(item, 'a list');

const valueSchema = v.object({
  id: count,
  name: text,
  layer: text,
  kind: oneOf(valueKinds),
  dtype: oneOf(['f32', 'bf16', 'i32', 'u8', 'i8']),
  shape: v.pipe(listOf(wholeNumber(1)), v.maxLength(8, 'at most 8 dimensions')),
  region: oneOf(['persistent', 'arena', 'rows', 'session']),
  offset: count,
  bytes: count,
});

const attributeSchema = v.union([v.number(), v.object({ scalar: text })], 'a number or a runtime scalar');

const instructionSchema = v.object({
  op: text,
  inputs: listOf(wholeNumber(-1)),
  outputs: listOf(count),
  attributes: recordOf(attributeSchema, 'attributes by name'),
  workspace: v.object({ offset: count, bytes: count, kind: oneOf(valueKinds) }, 'a workspace'),
  isPreparedAhead: flag,
  joinsPrevious: flag,
  layer: text,
  phase: oneOf(['forward', 'backward', 'update']),
  flops: v.number('a number'),
});

const entrySchema = v.object({
  name: text,
  instructions: listOf(instructionSchema),
  inputs: listOf(count),
  outputs: listOf(count),
  lifetimes: listOf(v.object({ value: count, first: count, last: count }, 'a lifetime')),
  arenaBytes: count,
  arenaLowerBoundBytes: count,
});

const planSchema = v.object(
  {
    version: v.literal(planVersion, `version ${planVersion}`),
    device: oneOf(['cpu', 'cuda', 'cuda-emulated']),
    scalars: listOf(text),
    values: listOf(valueSchema),
    entries: recordOf(entrySchema, 'entries by name'),
    persistentBytes: count,
    arenaBytes: count,
    arenaLowerBoundBytes: count,
    peakBytes: count,
  },
  'a plan, as compile() makes it',
);

/**
 * Checks that a plan has the form that its type says and names nothing that it does not hold. What it computes, and
 * that its bytes do not collide, the engine checks when it loads it.
 * @returns a copy, so that what was checked is what is used
 * @throws ERR_COMPACT_PLAN_INVALID
 */
export function checkedPlan(given: Plan): Plan {
  const plan = checkValue(given, planSchema, 'plan', 'ERR_COMPACT_PLAN_INVALID');
  for (const entry of Object.values(plan.entries)) checkEntry(entry, plan);
  return plan;
}

function checkEntry(
  { name, inputs, outputs, instructions, lifetimes }: PlanEntry,
  { values: { length: numValues }, scalars }: Plan,
): void {
  const ids = [
    ...[...inputs, ...outputs, ...lifetimes.map(({ value }) => value)],
    ...instructions.flatMap((instruction) => [...instruction.inputs, ...instruction.outputs]),
  ];
  const unknown = ids.find((id) => id >= numValues);
  if (unknown !== undefined) throw invalid(name, `ids of its ${numValues} values`, String(unknown));
  const attributes = instructions.flatMap((instruction) => Object.values(instruction.attributes));
  const stranger = attributes.find(
    (attribute) => typeof attribute !== 'number' && !scalars.includes(attribute.scalar),
  );
  if (stranger !== undefined)
    throw invalid(name, `scalars of the plan: ${scalars.join(', ')}`, JSON.stringify(stranger));
  const span = lifetimes.find(({ first, last }) => first > last || last >= instructions.length);
  if (span !== undefined)
    throw invalid(name, `lifetimes within its instructions`, `${span.first} to ${span.last}`);
  const [first] = instructions;
  if (first !== undefined && (first.joinsPrevious || first.isPreparedAhead))
    throw invalid(name, 'a first instruction that needs none before it', first.op);
}

const invalid = (entry: string, expected: string, received: string): Error =>
  compactError('ERR_COMPACT_PLAN_INVALID', `the plan is not valid: the entry ${entry}`, {
    op: `plan.entries.${entry}`,
    expected,
    received,
  });
