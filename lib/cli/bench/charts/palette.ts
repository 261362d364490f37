import type { ValueKind } from '../../../graph/index.js';
import type { KindBytes } from '../report.js';

/** Kinds as charts show them: those that are always small share one colour. */
export interface KindGroup {
  readonly id: string;
  readonly label: string;
  readonly colour: string;
  readonly kinds: readonly (ValueKind | 'unused')[];
}

/** Colours of Okabe and Ito, told apart with every common colour vision and on both backgrounds. */
export const kindGroups: readonly KindGroup[] = [
  { id: 'weights', label: 'weights', colour: '#0072b2', kinds: ['parameter'] },
  { id: 'optimizer', label: 'optimizer state', colour: '#56b4e9', kinds: ['optimizerState'] },
  { id: 'gradients', label: 'gradients', colour: '#e69f00', kinds: ['gradient'] },
  { id: 'activations', label: 'activations', colour: '#d55e00', kinds: ['activation'] },
  { id: 'compressed', label: 'compressed activations', colour: '#009e73', kinds: ['compressedActivation'] },
  { id: 'logits', label: 'logits', colour: '#cc79a7', kinds: ['logits'] },
  {
    id: 'other',
    label: 'workspace, inputs',
    colour: '#8b929c',
    kinds: ['workspace', 'projectionScratch', 'input', 'output', 'unused'],
  },
];

export const groupOf = (kind: ValueKind): KindGroup =>
  kindGroups.find((candidate) => candidate.kinds.includes(kind)) ?? kindGroups.at(-1)!;

export const groupBytes = (group: KindGroup, byKind: KindBytes): number =>
  group.kinds.reduce((sum, kind) => sum + (byKind[kind] ?? 0), 0);

/** Line colours of training runs, in order: the same hues, lighter on a dark ground. */
export const seriesColours = [0, 1, 2, 3, 4].map((index) => `var(--series-${index})`);

/** Style of every chart; follows the reader's light or dark setting, also as an image in another page. */
export const chartStyle = `
  .chart { --ink: #1f2430; --soft: #5b6472; --line: #dde1e7; --ground: #ffffff; --hover: #00000014;
    --series-0: #0072b2; --series-1: #d55e00; --series-2: #009e73; --series-3: #b5548c; --series-4: #b87a00;
    font-family: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
    font-size: 12px; fill: var(--ink); }
  @media (prefers-color-scheme: dark) {
    .chart { --ink: #e8eaf0; --soft: #a3acba; --line: #343b47; --ground: #14171d; --hover: #ffffff1f;
      --series-0: #56b4e9; --series-1: #f58a3d; --series-2: #2fc79c; --series-3: #e3a5c8; --series-4: #f0b73f; }
  }
  .chart .ground { fill: var(--ground); }
  .chart .title { font-size: 15px; font-weight: 650; }
  .chart .headline { font-size: 19px; font-weight: 700; }
  .chart .soft { fill: var(--soft); }
  .chart .strong { font-weight: 650; }
  .chart .tabular { font-variant-numeric: tabular-nums; }
  .chart .rule { stroke: var(--line); stroke-width: 1; fill: none; }
  .chart .measured { stroke: var(--ink); stroke-width: 3; }
  .chart text { paint-order: stroke; stroke: var(--ground); stroke-width: 3; stroke-linejoin: round; }
  .chart .mark { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; fill: none; }
`;
