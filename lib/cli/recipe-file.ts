import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isMap, isScalar, LineCounter, parseDocument, parse, type Document } from 'yaml';
import { compactError, nearestName } from '../errors.js';
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
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `The recipe ${path} cannot be read`, {
      received: (cause as Error).message,
      remedy: 'Give a file that this user may read',
      cause,
    });
  }
  return parseRecipe(text, basename(path));
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
  const values: unknown = document.toJS();
  if (!isRecord(values))
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is not a recipe`, {
      expected: 'a mapping of options (key: value)',
      received: values === null ? 'an empty file' : typeof values,
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

/** Sets `a.b=value`; the value is read as YAML, so numbers, booleans and lists mean what they mean in a recipe. */
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
    target = isRecord(inner)
      ? inner
      : ((target[part] = expandShorthand(part, inner)) as Record<string, unknown>);
  }
  target[last] = parse(value);
}

/** `method: compact` is short for `method: {name: compact}`; likewise model presets and data sources. */
export function expandShorthand(key: string, value: unknown): unknown {
  if (key === 'model' && typeof value === 'string') return { preset: value };
  if (key === 'method' && typeof value === 'string') return { name: value };
  if (key === 'data' && (typeof value === 'string' || Array.isArray(value))) return { train: value };
  return value ?? {};
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
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
