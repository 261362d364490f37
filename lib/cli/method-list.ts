import { parse } from 'yaml';
import { compactError } from '../errors.js';
import { methodCatalogue, methodFromDescription } from '../methods/index.js';

/** A method of a list: the word that asked for it, and what the word says of it. */
export interface ListedMethod {
  readonly word: string;
  /** As `methodFromDescription` takes it: what was not said is left out. */
  readonly description: Readonly<Record<string, unknown>> & { readonly name: string };
}

/** How a list is written, for help texts. */
export const methodListHelp = `A list of methods has a word for each, with commas between: METHOD, METHOD+OPTIMIZER, and options of either behind colons,
e.g. dense,compact+scale,lora:r=16:targetModules=[query,value]. 'all' is every method, dense first, and dense and
compact with every other optimizer that they take.`;

/** What everybody trains with comes first: others are compared with it. */
const baseline = 'dense';
/** Methods whose optimizer is compared as well. */
const withEveryOptimizer = ['dense', 'compact'];

/**
 * The methods of a list, each checked and named once.
 * @throws ERR_COMPACT_ARGUMENT for words that are no method, and what methods throw for their options
 */
export function methodList(text: string): readonly ListedMethod[] {
  const words = text.trim() === 'all' ? allMethods() : text.split(/,(?![^[]*\])/).map((word) => word.trim());
  const repeated = words.find((word, index) => words.indexOf(word) !== index);
  if (repeated !== undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', `'${repeated}' is named twice`, {
      op: '--methods',
      remedy: 'Name it once',
    });
  return words.map((word) => ({ word, description: describedBy(word) }));
}

function describedBy(word: string): ListedMethod['description'] {
  const [head = '', ...assignments] = word.split(':');
  const [name = '', optimizer, ...rest] = head.split('+');
  const options = assignments.map((assignment) => /^(\w+)=(.+)$/s.exec(assignment));
  if (name === '' || optimizer === '' || rest.length > 0 || options.includes(null))
    throw compactError('ERR_COMPACT_ARGUMENT', `'${word}' names no method`, {
      op: '--methods',
      expected: 'METHOD, METHOD+OPTIMIZER, or either followed by :OPTION=VALUE',
      received: word,
      remedy: 'See compact-train methods for what there is',
    });
  const given = options.map((match) => [match![1]!, valueOf(word, match![2]!)] as const);
  const description = { name, ...(optimizer && { optimizer }), ...Object.fromEntries(given) };
  methodFromDescription(description);
  return description;
}

/** As a recipe would read it. */
function valueOf(word: string, text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    throw compactError('ERR_COMPACT_ARGUMENT', `'${word}' has a value that is no YAML`, {
      op: '--methods',
      received: text,
      cause,
    });
  }
}

function allMethods(): readonly string[] {
  const { methods } = methodCatalogue();
  const others = methods.map(({ name }) => name).filter((name) => name !== baseline);
  const mixes = withEveryOptimizer.flatMap((name) => {
    const { optimizer } = methodFromDescription({ name }).describe();
    const { composesWith } = methods.find((method) => method.name === name)!;
    return composesWith.filter((other) => other !== optimizer).map((other) => `${name}+${other}`);
  });
  return [baseline, ...others, ...mixes];
}
