import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isMap, isScalar, LineCounter, parseDocument, parse, type Document } from 'yaml';
import { compactError, isCompactError, nearestName } from '../errors.js';
import { shown } from '../options.js';
import { expandShorthand } from '../train/options/recipe.js';
import { packageDirectory } from './package-info.js';

/** A recipe as it stands in its file: unchecked values, and where each key is. */
export interface RecipeFile {
  readonly name: string; // for messages
  readonly values: Record<string, unknown>;
  /** 'recipe.yaml:12' for a key of the file, the file alone for others (set by a flag). */
  locate(path: readonly string[]): string;
}

const recipesDirectory = join(packageDirectory, 'recipes');

/** Names of the recipes that come with the package. */
export function packagedRecipes(): string[] {
  return readdirSync(recipesDirectory)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

/**
 * Reads a recipe: a path, or the name of a packaged one. `recipes/quickstart.yaml` is the packaged recipe wherever the
 * working folder has no such file.
 *
 * @throws ERR_COMPACT_CONFIG_VALUE when there is none, or when it is not a YAML mapping.
 */
export function readRecipeFile(pathOrName: string): RecipeFile {
  const packaged = packagedRecipes();
  const path = findRecipe(pathOrName, packaged);
  if (!existsSync(path)) {
    const nearest = nearestName(pathOrName, packaged);
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `There is no recipe '${pathOrName}'`, {
      expected: `a path, or one of ${packaged.join(', ')}`,
      remedy: nearest === undefined ? 'Check the path' : `Did you mean ${nearest}?`,
    });
  }
  return parseRecipe(readText(path), basename(path));
}

/** Recipes are short; what is longer is another file by mistake. */
const maxRecipeBytes = 2 ** 20;

function readText(path: string): string {
  const refused = (received: string, cause?: unknown): Error =>
    compactError('ERR_COMPACT_CONFIG_VALUE', `The recipe ${path} cannot be read`, {
      expected: `a YAML file of at most ${maxRecipeBytes} bytes`,
      received,
      remedy: 'Give a file that this user may read',
      cause,
    });
  try {
    // Reading from a pipe could wait for ever.
    const status = statSync(path);
    if (!status.isFile()) throw refused(status.isDirectory() ? 'a folder' : 'no regular file');
    if (status.size > maxRecipeBytes) throw refused(`${status.size} bytes`);
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw isCompactError(cause) ? cause : refused((cause as Error).message, cause);
  }
}

function findRecipe(pathOrName: string, packaged: readonly string[]): string {
  if (packaged.includes(pathOrName)) return join(recipesDirectory, `${pathOrName}.yaml`);
  const isPackaged = packaged.some((name) => pathOrName === `recipes/${name}.yaml`);
  return isPackaged && !existsSync(pathOrName) ? join(packageDirectory, pathOrName) : pathOrName;
}

export function parseRecipe(text: string, name: string): RecipeFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [mistake] = document.errors;
  if (mistake !== undefined)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is not valid YAML`, {
      received: mistake.message.split('\n')[0]!,
      remedy: `Correct line ${mistake.linePos?.[0].line ?? 1}`,
    });
  const values = toValues(document, name);
  if (!isRecord(values))
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is not a recipe`, {
      expected: 'a mapping of options (key: value)',
      received: values === null ? 'an empty file' : shown(values),
    });
  return {
    name,
    values,
    locate: (path) => {
      const line = lineOf(document, lines, path);
      return line === undefined ? name : `${name}:${line}`;
    },
  };
}

/** Anchors that would unfold to more than a recipe holds are refused. */
function toValues(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is not a recipe`, {
      received: (cause as Error).message,
      remedy: 'Write out what the aliases stand for',
      cause,
    });
  }
}

/** Sets `a.b=value`, or unsets it with `a.b=null`; the value is read as YAML, so numbers, booleans and lists mean what they mean in a recipe. */
export function setRecipeValue(values: Record<string, unknown>, assignment: string): void {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(assignment) ?? [];
  if (key === undefined || value === undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', '--set takes an assignment', {
      expected: 'key=value, e.g. learningRate=0.002 or method.rankRatio=0.5',
      received: assignment,
    });
  const path = key.trim().split('.');
  const last = path.pop()!;
  let target = values;
  for (const part of path) {
    const inner = Object.hasOwn(target, part) ? target[part] : undefined;
    if (!isRecord(inner)) define(target, part, asSection(part, inner));
    target = target[part] as Record<string, unknown>;
  }
  const parsed = parseValue(assignment, value);
  if (parsed === null) delete target[last];
  else define(target, last, parsed);
}

/** Any name is a key like others, `__proto__` included, which no recipe knows. */
const define = (target: Record<string, unknown>, key: string, value: unknown): void =>
  void Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });

function parseValue(assignment: string, value: string): unknown {
  try {
    return parse(value, { maxAliasCount: 100 });
  } catch (cause) {
    throw compactError('ERR_COMPACT_ARGUMENT', '--set takes a YAML value', {
      expected: 'key=value, e.g. learningRate=0.002 or data.train=[a.txt, b.txt]',
      received: assignment,
      remedy: `Put the value in quotes to have it as text: ${(cause as Error).message.split('\n')[0]!}`,
      cause,
    });
  }
}

/** The mapping that a short form stands for; anything else that is no mapping makes way for one. */
function asSection(key: string, value: unknown): Record<string, unknown> {
  const expanded = expandShorthand(key, value);
  return isRecord(expanded) ? expanded : {};
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function lineOf(document: Document, lines: LineCounter, path: readonly string[]): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const part of path) {
    if (!isMap(node)) break;
    const pair = node.items.find((item) => isScalar(item.key) && item.key.value === part);
    if (pair === undefined) break; // not in the file: the section that it belongs to
    offset = isScalar(pair.key) ? pair.key.range?.[0] : offset;
    node = pair.value;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}
