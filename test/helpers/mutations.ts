import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';

/** One change to the arguments of a call, drawn by numbers so that any of them shrinks. */
export interface Mutation {
  /** Which part: at each container one of its keys, until the numbers end or there is nothing inside. */
  readonly walk: readonly number[];
  readonly kind: 'replace' | 'delete' | 'misspell' | 'add' | 'getter';
  readonly choice: number;
}

export const mutations: fc.Arbitrary<Mutation> = fc.record({
  walk: fc.array(fc.nat(1000), { minLength: 1, maxLength: 7 }),
  kind: fc.constantFrom('replace', 'replace', 'replace', 'replace', 'delete', 'misspell', 'add', 'getter'),
  choice: fc.nat(100_000),
});

/** What a mutation did, and whether a call may still do its work. */
export interface Mutated {
  readonly path: string;
  readonly what: string;
  /** The value is of another type, out of every range, or under a name that nothing has. */
  readonly mustBeRefused: boolean;
  /** The caller's own function was replaced by another: what it throws reaches the caller as it is. */
  readonly isOwnFunction?: boolean;
}

type Container = Record<PropertyKey, unknown>;

const thrower = (): never => {
  throw new Error('a getter of the caller');
};

const throwingProxy = (): object =>
  new Proxy(
    {},
    {
      get: thrower,
      has: thrower,
      ownKeys: thrower,
      getPrototypeOf: thrower,
      getOwnPropertyDescriptor: thrower,
    },
  );

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function detached(): Float32Array {
  const array = new Float32Array(4);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

const nested = (depth: number): unknown => (depth === 0 ? 'deep' : { inner: nested(depth - 1), list: [[]] });

/** Values that stand where others should; each is made anew, as some are changed by their use. */
const junk: readonly (() => unknown)[] = [
  ...[null, NaN, Infinity, -Infinity, -1, 0, -0, 0.5, -0.5, 1.5, 1e300, 1e-300, 2 ** 31, 2 ** 53, 1e9].map(
    (value) => () => value,
  ),
  ...[
    '',
    ' ',
    '0.1',
    '1',
    'x',
    '\0',
    'a\0b',
    'null',
    'toString',
    '__proto__',
    '\ud800',
    'x'.repeat(5000),
  ].map((value) => () => value),
  ...[true, false, 10n, -1n, Symbol('junk'), Symbol.iterator].map((value) => () => value),
  () => () => undefined,
  () => Map,
  () => new Date(0),
  () => new Map([['rank', 8]]),
  () => new Set([1]),
  () => /x/,
  () => new Error('junk'),
  () => Promise.resolve(1),
  () => [],
  () => [null],
  () => [[[]]],
  () => [1, 'x', {}],
  () => ({}),
  () => ({ toString: null }),
  () => Object.create(null),
  () => Object.create({ batchSize: 3 }),
  () => ({ valueOf: thrower, toString: thrower, [Symbol.toPrimitive]: thrower }),
  () => JSON.parse('{"__proto__": {"batchSize": 3}, "constructor": 1}'),
  () => nested(30),
  () => {
    const cycle: Container = {};
    return (cycle['self'] = cycle);
  },
  throwingProxy,
  revokedProxy,
  () => new Proxy([], { get: thrower }),
  () => new Proxy(() => undefined, { apply: thrower, get: thrower }),
  () => new Float32Array(3),
  () => new Float64Array(4),
  () => new DataView(new ArrayBuffer(4)),
  () => new Int32Array(new SharedArrayBuffer(16)),
  () => runInNewContext('new Float32Array(4)'),
  () => runInNewContext('({ a: 1 })'),
  () => runInNewContext('[1, 2]'),
  detached,
];

/** Names that objects have without having been given them, and others that nothing knows. */
const strangeKeys = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'batchsize', '', '0', 'then'];

const isContainer = (value: unknown): value is Container =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && kindOf(value) !== 'other';

/** A type as a caller sees it. */
function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  try {
    if (Array.isArray(value)) return 'array';
    if (ArrayBuffer.isView(value)) return Object.prototype.toString.call(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    return prototype === null || Object.getPrototypeOf(prototype) === null ? 'plain' : 'other';
  } catch {
    return 'unreadable';
  }
}

/** A copy to be changed; functions and instances of classes are shared. */
export function copyOf<T>(value: T): T {
  if (ArrayBuffer.isView(value)) return structuredClone(value);
  if (Array.isArray(value)) return value.map(copyOf) as T;
  if (kindOf(value) !== 'plain') return value;
  return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, copyOf(item)])) as T;
}

/**
 * Changes one part of `args` in place.
 * @param args arguments of a call that does its work
 * @param alternatives paths at which other values are as good; with `.added` and `.misspelt`, at which other names are
 */
export function mutate(args: unknown[], { walk, kind, choice }: Mutation, alternatives: RegExp): Mutated {
  let parent: Container = args as unknown as Container;
  let key = pick(Object.keys(parent), walk[0]!)!;
  const path = [key];
  for (const number of walk.slice(1)) {
    const inner = parent[key];
    const next = isContainer(inner) ? pick(Object.keys(inner), number) : undefined;
    if (next === undefined) break;
    parent = inner as Container;
    key = next;
    path.push(key);
  }
  const isArgument = parent === (args as unknown);
  const place = path.join('.');
  const original = parent[key];
  const isFree = alternatives.test(place);
  if (kind === 'delete') {
    delete parent[key];
    return { path: place, what: 'delete', mustBeRefused: false };
  }
  if (kind === 'misspell' && !isArgument && !Array.isArray(parent)) {
    delete parent[key];
    const wrong = choice % 2 === 0 ? `${key}s` : key.toUpperCase() === key ? `${key}_` : key.toUpperCase();
    parent[wrong] = original;
    const mustBeRefused = original !== undefined && !isFree && !alternatives.test(`${place}.misspelt`);
    return { path: place, what: `misspelt as ${wrong}`, mustBeRefused };
  }
  if (kind === 'add' && isContainer(original) && !Array.isArray(original)) {
    const name = choice % 9 === 8 ? Symbol('key') : strangeKeys[choice % strangeKeys.length]!;
    const value = junk[choice % junk.length]!();
    Object.defineProperty(original, name, { value, enumerable: true, configurable: true, writable: true });
    const mustBeRefused = !isFree && !alternatives.test(`${place}.added`);
    return { path: place, what: `given the key ${String(name)}`, mustBeRefused };
  }
  if (kind === 'getter' && !isArgument) {
    Object.defineProperty(parent, key, { get: thrower, enumerable: true, configurable: true });
    return { path: place, what: 'a getter that throws', mustBeRefused: !isFree };
  }
  const value = junk[choice % junk.length]!();
  parent[key] = value;
  const isOwnFunction = kindOf(original) === 'function' && kindOf(value) === 'function';
  const mustBeRefused = !isFree && isWrong(original, value);
  return {
    path: place,
    what: `replaced by ${typeof value} ${describe(value)}`,
    mustBeRefused,
    isOwnFunction,
  };
}

/** Of another type, no finite number, or a fraction of what is counted. */
function isWrong(original: unknown, value: unknown): boolean {
  if (kindOf(original) !== kindOf(value)) return true;
  if (typeof value !== 'number') return false;
  return !Number.isFinite(value) || value < 0 || (Number.isInteger(original) && !Number.isInteger(value));
}

function describe(value: unknown): string {
  try {
    return String(value).slice(0, 60);
  } catch {
    return '(cannot be shown)';
  }
}

const pick = <T>(list: readonly T[], number: number): T | undefined => list[number % list.length];
