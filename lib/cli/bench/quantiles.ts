/** Of repeated measurements: the middle, and how far the better and the worse ones lie. */
export function quantiles(values: readonly number[]): { p20: number; p50: number; p80: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const position = share * (sorted.length - 1);
    const low = sorted[Math.floor(position)]!;
    return low + (position % 1) * (sorted[Math.ceil(position)]! - low);
  };
  return { p20: at(0.2), p50: at(0.5), p80: at(0.8) };
}
