import { Environment } from './jinja.js';
import type { JinjaEnvironment, JinjaNode, JinjaProgram, JinjaValue } from './jinja.js';
import { PythonInterpreter } from './python-interpreter.js';

/*
 * Templates come with models of strangers. One that loops for ever, or doubles a list again and again, ends in an error:
 * here by the steps that it takes and the sizes of what it makes, which are the same on every machine, and by the clock of
 * run-bounded.ts for what a single step may take.
 */

/** Long conversations take some tens of thousands. */
const maxSteps = 20_000_000;
/** Longest text that a template makes, in UTF-16 units. */
const maxTextLength = 2 ** 26;
/** Most elements of a list that a template makes. */
const maxListLength = 2 ** 20;

class BoundedInterpreter extends PythonInterpreter {
  #steps = 0;

  override evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    if (++this.#steps > maxSteps) throw new RangeError(`more than ${maxSteps} steps`);
    const result = super.evaluate(node, environment);
    const { value } = result;
    if (typeof value === 'string' && value.length > maxTextLength)
      throw new RangeError(`a text of more than ${maxTextLength} characters`);
    if (Array.isArray(value) && value.length > maxListLength)
      throw new RangeError(`a list of more than ${maxListLength} elements`);
    return result;
  }
}

/** Renders a parsed template. Variables that are functions take and give plain values. */
export function renderWithin(program: JinjaProgram, variables: Readonly<Record<string, unknown>>): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
  return String(new BoundedInterpreter(environment).run(program).value);
}

/** What every template finds, by the names of Python and of Jinja. */
const globals: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  range,
  strftime_now: (format: unknown) => formatDate(String(format), new Date()),
};

function range(first: number, end?: number, step = 1): number[] {
  const [from, to] = end === undefined ? [0, first] : [first, end];
  if (![from, to, step].every(Number.isSafeInteger) || step === 0)
    throw new TypeError('range takes whole numbers, and a step that is not 0');
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (length > maxListLength) throw new RangeError(`a range of more than ${maxListLength} numbers`);
  return Array.from({ length }, (_, i) => from + i * step);
}

/** The local time by the letters of strftime that published templates use. */
function formatDate(format: string, date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const named = (options: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat('en', options).format(date);
  const letters: Readonly<Record<string, () => string>> = {
    a: () => named({ weekday: 'short' }),
    A: () => named({ weekday: 'long' }),
    b: () => named({ month: 'short' }),
    B: () => named({ month: 'long' }),
    d: () => two(date.getDate()),
    '-d': () => String(date.getDate()),
    H: () => two(date.getHours()),
    I: () => two(date.getHours() % 12 || 12),
    m: () => two(date.getMonth() + 1),
    '-m': () => String(date.getMonth() + 1),
    M: () => two(date.getMinutes()),
    p: () => (date.getHours() < 12 ? 'AM' : 'PM'),
    S: () => two(date.getSeconds()),
    y: () => two(date.getFullYear() % 100),
    Y: () => String(date.getFullYear()),
    '%': () => '%',
  };
  return format.replaceAll(/%(-?.)/g, (_, letter: string) => {
    const write = letters[letter];
    if (write === undefined) throw new TypeError(`strftime_now does not know %${letter}`);
    return write();
  });
}
