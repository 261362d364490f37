/**
 * Figures of the CompAct paper (Shamshoum et al., NAACL 2025, arXiv 2410.15352 v2, tables 2 to 4): pretraining on C4,
 * 256 tokens a sequence, batch 512 accumulated from micro-batches of 128, one GPU of 80 GiB.
 */
export interface PublishedResult {
  readonly perplexity: number;
  readonly peakGiB: number | undefined; // undefined: over 80, did not fit
}

const result = (perplexity: number, peakGiB: number | undefined): PublishedResult => ({
  perplexity,
  peakGiB,
});

export const publishedResults = {
  models: ['llama-60m', 'llama-130m', 'llama-350m', 'llama-1b'],
  rows: [
    { method: 'full rank', results: [result(34.06, 11.59), result(25.08, 18.66), result(18.8, 39.97), result(15.56, undefined)] },
    { method: 'GaLore', results: [result(34.88, 11.56), result(25.36, 18.48), result(18.95, 39.24), result(15.64, 75.4)] },
    { method: 'CompAct n/2', rankRatio: 1 / 2, results: [result(32.78, 11.32), result(25.37, 17.97), result(19.26, 37.94), result(17.4, 72.82)] },
    { method: 'CompAct n/4', rankRatio: 1 / 4, results: [result(34.41, 10.8), result(26.98, 16.78), result(20.45, 34.71), result(18.02, 65.57)] },
    { method: 'CompAct n/8', rankRatio: 1 / 8, results: [result(36.42, 10.54), result(28.7, 16.19), result(21.91, 33.03), result(19.23, 61.88)] },
  ],
} as const satisfies {
  readonly models: readonly string[];
  readonly rows: readonly {
    readonly method: string;
    readonly rankRatio?: number;
    readonly results: readonly PublishedResult[];
  }[];
}; // prettier-ignore

/** Bytes that the paper's runs saved against its dense run; undefined where that run did not fit. */
export function publishedSavingBytes(model: string, rankRatio: number): number | undefined {
  const column = publishedResults.models.findIndex((name) => name === model);
  const row = publishedResults.rows.find(
    (candidate) => 'rankRatio' in candidate && candidate.rankRatio === rankRatio,
  );
  const dense = publishedResults.rows[0].results[column]?.peakGiB;
  const compact = row?.results[column]?.peakGiB;
  return dense === undefined || compact === undefined ? undefined : (dense - compact) * 2 ** 30;
}
