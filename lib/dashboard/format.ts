const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 1.5 MiB */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const number = bytes / 1024 ** power;
  return `${number.toFixed(power === 0 ? 0 : number < 10 ? 2 : 1)} ${units[power]!}`;
}

/** 12.3K, 4.56M */
export function formatCount(count: number): string {
  return new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 }).format(count);
}

/** In the clock and calendar of who looks. */
export const formatTime = (seconds: number): string => new Date(1000 * seconds).toLocaleString();

/** 1 h 5 min, 12 s */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

/** 1.376, 5.00e-5 */
export const formatMetric = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : value.toPrecision(4);
