import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageDirectory } from '../../lib/cli/package-info.js';
import type { FinetuneRow } from '../commands/finetune.js';
import { readSweep } from '../finetune/sweep.js';
import { benchmarksDocument, gpuFigures, kernelPredictionTable } from './document.js';
import { finetunedPart } from './finetuned.js';
import { readGpuRows } from './gpu-rows.js';
import { learnedPart, type QualityRow, type StepTimeRow } from './learned.js';
import { parityDocument, type ParityRow } from './parity.js';
import { countTable, resourceTable, type KernelResources, type LoopCounts } from './resources.js';
import { searchedPart, type SearchRow } from './searched.js';

const at = (...parts: readonly string[]): string => join(packageDirectory, ...parts);

/** What the ledger of GPUs makes of the documents: name in the repository to contents. */
export function generatedDocuments(
  ledger: string = at('bench', 'results', 'gpu.jsonl'),
): Record<string, string> {
  const rows = readGpuRows(ledger);
  const figures = Object.entries(gpuFigures(rows)).map(([name, svg]) => [`docs/images/${name}`, `${svg}\n`]);
  const diary = readFileSync(at('docs', 'kernels.md'), 'utf8');
  return {
    'docs/benchmarks.md': benchmarksDocument(rows),
    'docs/kernels.md': replacePart(
      replacePart(
        replacePart(diary, 'predictions', kernelPredictionTable(rows)),
        'resources',
        resourceTable(resources()),
      ),
      'counts',
      countTable(loopCounts()),
    ),
    ...Object.fromEntries(figures),
  };
}

/** What the ledger of `scripts/bench finetune` makes of the documents. */
export function recipeDocuments(): Record<string, string> {
  const name = 'docs/recipes.md';
  const rows = rowsOf('finetune.jsonl') as FinetuneRow[];
  const document = ['banking77', 'stories', 'gsm8k'].reduce(
    (text, sweep) => {
      const own = rows.filter((row) => row.case === sweep);
      return replacePart(
        text,
        sweep,
        finetunedPart(own, readSweep(at('bench', 'finetune', `${sweep}.yaml`))),
      );
    },
    readFileSync(at(name), 'utf8'),
  );
  return { [name]: document };
}

/** What the ledgers of `bench quality` and `bench step-time` make of the documents. */
export function methodDocuments(): Record<string, string> {
  const name = 'docs/methods/README.md';
  const search = 'docs/quality.md';
  const times = ['step-time.jsonl', 'step-time-methods.jsonl'].flatMap(rowsOf) as StepTimeRow[];
  const part = learnedPart(rowsOf('quality-methods.jsonl') as QualityRow[], times);
  const searched = searchedPart(rowsOf('quality-search.jsonl') as SearchRow[], times);
  return {
    [name]: replacePart(readFileSync(at(name), 'utf8'), 'learned', part),
    [search]: replacePart(readFileSync(at(search), 'utf8'), 'searched', searched),
  };
}

/** What the ledger of comparisons with other programs makes of the documents. */
export const parityDocuments = (): Record<string, string> => ({
  'docs/parity.md': parityDocument(rowsOf('parity.jsonl') as ParityRow[]),
});

const rowsOf = (name: string): readonly unknown[] =>
  readFileSync(at('bench', 'results', name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));

function resources(): readonly KernelResources[] {
  const file = at('bench', 'results', 'cuda-resources.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as KernelResources[]) : [];
}

function loopCounts(): readonly LoopCounts[] {
  const text = readFileSync(at('bench', 'results', 'cuda-counts.json'), 'utf8');
  return (JSON.parse(text) as { readonly loops: readonly LoopCounts[] }).loops;
}

/** The lines between the two comments of that name. */
function replacePart(document: string, name: string, contents: string): string {
  const begin = `<!-- ${name}: generated -->`;
  const end = `<!-- ${name}: end -->`;
  const [before, rest] = document.split(begin);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`the document has no part ${name}`);
  return `${before}${begin}\n\n${contents}\n\n${end}${after}`;
}
