import type { ValueKind } from '../../../graph/index.js';
import type { BytesByKind } from '../../../memory/index.js';

/** Bytes by what they are for; kinds that have none may be left out. */
export type KindBytes = Readonly<Partial<BytesByKind>>;

/** Kinds as charts show them: those that are always small share one colour. */
export interface KindGroup {
  readonly id: string;
  readonly label: string;
  readonly colour: string;
  readonly kinds: readonly (ValueKind | 'unused')[];
}

const kindGroup = (id: string, label: string, kinds: KindGroup['kinds']): KindGroup => ({
  id,
  label,
  colour: `var(--${id})`,
  kinds,
});

export const kindGroups: readonly KindGroup[] = [
  kindGroup('weights', 'weights', ['parameter']),
  kindGroup('optimizer', 'optimizer state', ['optimizerState']),
  kindGroup('gradients', 'gradients', ['gradient']),
  kindGroup('activations', 'activations', ['activation']),
  kindGroup('compressed', 'compressed activations', ['compressedActivation']),
  kindGroup('logits', 'logits', ['logits']),
  kindGroup('other', 'workspace, inputs', [
    ...(['workspace', 'projectionScratch', 'input', 'output', 'keyValueCache', 'unused'] as const),
  ]),
];

export const groupOf = (kind: ValueKind): KindGroup =>
  kindGroups.find((candidate) => candidate.kinds.includes(kind)) ?? kindGroups.at(-1)!;

export const groupBytes = (group: KindGroup, byKind: KindBytes): number =>
  group.kinds.reduce((sum, kind) => sum + (byKind[kind] ?? 0), 0);

/** Colours of training runs, in order. */
export const seriesColours = [0, 1, 2, 3, 4].map((index) => `var(--series-${index})`);

/**
 * Hues of Okabe and Ito, told apart with every common colour vision; on a light ground darker than theirs, so that
 * every area has the contrast 3 of WCAG 2.1 AA with what it lies on, and every colour of text 4.5.
 */
export const palettes = {
  light: {
    ink: '#1f2430', soft: '#5b6472', line: '#dde1e7', ground: '#ffffff', panel: '#f4f6f8', good: '#00694c',
    hover: '#00000014', weights: '#005f99', optimizer: '#3598d4', gradients: '#bd8200', activations: '#d55e00',
    compressed: '#009e73', logits: '#c05c98', other: '#7d848e', 'series-0': '#0072b2', 'series-1': '#bd4f00',
    'series-2': '#007a59', 'series-3': '#b04f87', 'series-4': '#8f6000',
  },
  dark: {
    ink: '#e8eaf0', soft: '#a3acba', line: '#343b47', ground: '#14171d', panel: '#1b1f27', good: '#4fd6ac',
    hover: '#ffffff1f', weights: '#0072b2', optimizer: '#56b4e9', gradients: '#e69f00', activations: '#d55e00',
    compressed: '#009e73', logits: '#cc79a7', other: '#8b929c', 'series-0': '#56b4e9', 'series-1': '#f58a3d',
    'series-2': '#2fc79c', 'series-3': '#e3a5c8', 'series-4': '#f0b73f',
  },
} as const; // prettier-ignore

const declarations = (palette: Readonly<Record<string, string>>): string =>
  Object.entries(palette)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join(' ');

/** The colours as variables of `selector`; dark where the reader's setting is, but never on paper. */
export const paletteStyle = (selector: string): string => `
  ${selector} { ${declarations(palettes.light)} }
  @media screen and (prefers-color-scheme: dark) { ${selector} { ${declarations(palettes.dark)} } }`;

export const fontFamily =
  'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif';

/** Style of a picture that stands alone; follows the reader's light or dark setting, also inside another page. */
export const chartStyle = `${paletteStyle('.chart')}
  .chart { font-family: ${fontFamily}; font-size: 12px; fill: var(--ink); }
  .chart .ground { fill: var(--ground); }
  .chart .title { font-size: 15px; font-weight: 650; }
  .chart .subtitle { font-size: 15px; }
  .chart .headline { font-size: 19px; font-weight: 700; }
  .chart .soft { fill: var(--soft); }
  .chart .good { fill: var(--good); }
  .chart .strong { font-weight: 650; }
  .chart .tabular { font-variant-numeric: tabular-nums; }
  .chart .rule { stroke: var(--line); stroke-width: 1; fill: none; }
  .chart .measured { stroke: var(--ink); stroke-width: 3; }
  .chart text { paint-order: stroke; stroke: var(--ground); stroke-width: 3; stroke-linejoin: round; }
`;
