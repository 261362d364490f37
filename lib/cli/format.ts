/** Numbers as people read them. Bytes are binary units: 1 GiB = 2^30 bytes. */

import type { EvaluateReport } from '../train/index.js';

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : threeDigits(value)} ${units[unit]}`;
}

/** Always in GiB, for columns that are compared. */
export const formatGiB = (bytes: number): string => (bytes / 2 ** 30).toFixed(bytes >= 100 * 2 ** 30 ? 1 : 2);

export function formatCount(count: number): string {
  if (count >= 1e9) return `${threeDigits(count / 1e9)}B`;
  if (count >= 1e6) return `${threeDigits(count / 1e6)}M`;
  if (count >= 1e4) return `${threeDigits(count / 1e3)}k`;
  return `${Math.round(count)}`;
}

export const formatRate = (tokensPerSecond: number): string => `${formatCount(tokensPerSecond)} tokens/s`;

export const formatPercent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

/** How far a ratio is from 1, with its sign: +1.2 % for 1.012. */
export function formatDifference(ratio: number): string {
  const percent = (100 * (ratio - 1)).toFixed(1);
  return `${Number(percent) > 0 ? '+' : ''}${percent.replace(/^-0\.0$/, '0.0')} %`;
}

export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '--:--';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60) % 60;
  const tail = `${pad(minutes)}:${pad(whole % 60)}`;
  return whole < 3600 ? tail : `${Math.floor(whole / 3600)}:${tail}`;
}

/** A learning rate or another small number, without noise. */
export const formatSmall = (value: number): string => String(Number(value.toPrecision(3)));

/** What an evaluation has measured; of preference pairs how they are told apart. */
export function formatEvaluation({
  loss,
  perplexity,
  metrics = {},
}: Pick<EvaluateReport, 'loss' | 'perplexity' | 'metrics'>): string {
  const { rewardsAccuracy, rewardsMargin } = metrics;
  const shown = rewardsAccuracy === undefined ? metrics : { rewardsAccuracy, rewardsMargin: rewardsMargin! };
  return [
    `loss ${loss.toFixed(4)}`,
    ...(perplexity === undefined ? [] : [`perplexity ${perplexity.toFixed(2)}`]),
    ...Object.entries(shown).map(([name, value]) => `${name} ${value.toFixed(4)}`),
  ].join(', ');
}

const pad = (n: number): string => String(n).padStart(2, '0');

const threeDigits = (value: number): string => value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
