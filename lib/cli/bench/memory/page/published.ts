import { formatGiB } from '../../../format.js';
import { escapeText as escape } from '../../charts/svg.js';
import { htmlTable } from '../../page/table.js';
import { publishedResults } from '../published-figures.js';
import type { BenchReport } from '../report.js';

/** What compression saves, planned here and measured by the paper. */
export function savingsTable({ savings }: BenchReport): string {
  const ratios = [...new Set(savings.map((saving) => saving.rankRatio))].sort((a, b) => b - a);
  const models = [...new Set(savings.map((saving) => saving.model))];
  const rows = models.map((model) => [
    escape(model),
    ...ratios.map((ratio) => {
      const saving = savings.find((candidate) => candidate.model === model && candidate.rankRatio === ratio);
      if (saving === undefined) return '';
      const paper =
        saving.publishedBytes === undefined
          ? 'dense did not fit'
          : `paper ${formatGiB(saving.publishedBytes)}`;
      return `${formatGiB(saving.plannedBytes)}<small>${paper}</small>`;
    }),
  ]);
  return htmlTable({
    caption: 'GiB saved against dense training: planned here, and measured in the paper',
    columns: ['GiB saved', ...ratios.map((ratio) => `n/${1 / ratio}`)],
    rows,
  });
}

export function publishedTable(): string {
  const { models, rows } = publishedResults;
  return htmlTable({
    caption: 'Published: perplexity, and peak GiB on one GPU',
    columns: ['method', ...models],
    rows: rows.map(({ method, results }) => [
      escape(method),
      ...results.map(
        ({ perplexity, peakGiB }) =>
          `${perplexity.toFixed(2)}<small>${peakGiB?.toFixed(2) ?? 'over 80'} GiB</small>`,
      ),
    ]),
  });
}
