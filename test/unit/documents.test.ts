/** What documents name is there: files and folders of the repository, links and their headings, npm scripts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { codeOf } from '../helpers/markdown.js';

const root = join(__dirname, '..', '..');
const made = ['node_modules', 'build', 'dist', 'prebuilds', 'coverage', 'runs', '.git']; // not in the repository
const paths = readdirSync(root)
  .filter((name) => !made.includes(name))
  .flatMap((name) => [name, ...below(join(root, name)).map((inner) => join(name, inner))]);
const folders = [...new Set(paths.filter((path) => path.includes('/')).map((path) => path.split('/')[0]!))];
const baseNames = new Set(paths.map((path) => basename(path)));
// A changelog names what was, and may go on doing so.
const documents = paths.filter((path) => path.endsWith('.md') && path !== 'CHANGELOG.md');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

function below(folder: string): string[] {
  const isFolder = readdirSync(dirname(folder), { withFileTypes: true })
    .find(({ name }) => name === basename(folder))!
    .isDirectory();
  return isFolder ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
}

/** As part of a regular expression. */
const literally = (text: string): string => text.replaceAll('.', '\\.');

/** What the first benchmark on a GPU will write. */
const mayBeAbsent = (path: string): boolean => path.endsWith('bench/results/gpu.jsonl');

const pathsIn = (code: string): string[] =>
  [...code.matchAll(new RegExp(`(?<![\\w./-])(?:${folders.map(literally).join('|')})/[\\w.*/-]*`, 'g'))]
    .map(([path]) => path.replace(/[./]+$/, ''))
    .filter((path) => !mayBeAbsent(path));

function isThere(path: string): boolean {
  if (!path.includes('*')) return existsSync(join(root, path));
  const pattern = new RegExp(`^${path.split('*').map(literally).join('[^/]*')}$`);
  return paths.some((each) => pattern.test(each));
}

/** As GitHub names the headings of a document: a second one of a name is numbered. */
function anchorsOf(text: string): string[] {
  const counts = new Map<string, number>();
  return [...text.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
    const name = heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return count === 0 ? name : `${name}-${count}`;
  });
}

test('the documents are found', () => {
  expect(documents).toEqual(expect.arrayContaining(['README.md', 'CONTRIBUTING.md', 'docs/architecture.md']));
});

describe.each(documents)('%s names what is there:', (document) => {
  const text = readFileSync(join(root, document), 'utf8');
  const code = codeOf(text);

  test('files and folders', () => {
    const named = code.flatMap(pathsIn);
    const sources = code.filter((span) => /^[\w.-]+\.(ts|cc|cu|h|cjs|cmake|py|md)$/.test(span));
    expect(named.filter((path) => !isThere(path))).toEqual([]);
    expect(sources.filter((name) => !baseNames.has(name))).toEqual([]);
  });

  test('npm scripts', () => {
    const named = code.flatMap((each) =>
      [...each.matchAll(/npm run (?:--?\S+ )*([\w:-]+)/g)].map(([, name]) => name!),
    );
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test('links, and the headings that they lead to', () => {
    const targets = [...text.matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
    const missing = targets.filter(([, path, anchor]) => {
      const file = path === '' ? join(root, document) : resolve(root, dirname(document), path!);
      if (mayBeAbsent(file)) return false;
      if (!existsSync(file) || relative(root, file).startsWith('..')) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(file, 'utf8')).includes(anchor);
    });
    expect(missing.map(([link]) => link)).toEqual([]);
  });
});
