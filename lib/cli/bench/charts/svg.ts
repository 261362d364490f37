/** The few parts of SVG that the charts need, as strings. */

type AttributeValue = string | number | undefined;

export function element(
  name: string,
  attributes: Readonly<Record<string, AttributeValue>>,
  ...children: readonly string[]
): string {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escapeText(typeof value === 'number' ? round(value) : value!)}"`)
    .join('');
  return children.length === 0 ? `<${name}${list}/>` : `<${name}${list}>${children.join('')}</${name}>`;
}

export const group = (attributes: Readonly<Record<string, AttributeValue>>, ...children: string[]): string =>
  element('g', attributes, ...children);

export const translate = (x: number, y: number, ...children: string[]): string =>
  group({ transform: `translate(${round(x)} ${round(y)})` }, ...children);

export const text = (
  x: number,
  y: number,
  content: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
): string => element('text', { x, y, ...attributes }, escapeText(content));

export const path = (
  points: readonly (readonly [number, number])[],
  attributes: Readonly<Record<string, AttributeValue>>,
): string =>
  element('path', {
    d: points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join(''),
    ...attributes,
  });

export const escapeText = (content: string): string =>
  content.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);

/** Two decimals are a fiftieth of a pixel; more only makes files large. */
export const round = (value: number): string => String(Math.round(value * 100) / 100);

export type Scale = (value: number) => number;

export const linearScale =
  (from: readonly [number, number], to: readonly [number, number]): Scale =>
  (value) =>
    to[0] + ((value - from[0]) / (from[1] - from[0])) * (to[1] - to[0]);

/** The least of 1, 2, 5 times a power of ten that makes at most `count` steps of [low, high]; 1 where these are equal. */
export function tickStep(low: number, high: number, count: number): number {
  const rough = (high - low) / count;
  if (!(rough > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10);
}

/** Round numbers inside [low, high], about `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  if (!(high > low)) return [low];
  const step = tickStep(low, high, count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Ticks of bytes in the largest binary unit that keeps them readable. */
export function byteTicks(high: number, count: number): { readonly value: number; readonly label: string }[] {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, high * 0.9)) / 10));
  const factor = 1024 ** unit;
  return ticks(0, high / factor, count).map((value) => ({
    value: value * factor,
    label: `${value} ${units[unit]}`,
  }));
}
