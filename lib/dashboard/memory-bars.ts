import type { JobPlan } from './types.js';
import { element } from './elements.js';
import { formatBytes } from './format.js';

const words: Readonly<Record<string, string>> = {
  parameter: 'weights',
  optimizerState: 'optimizer states',
  gradient: 'gradients',
  activation: 'activations',
  compressedActivation: 'compressed activations',
  keyValueCache: 'keys and values',
  logits: 'logits',
  input: 'inputs',
  output: 'outputs',
  workspace: 'workspaces',
  projectionScratch: 'projections',
  unused: 'alignment and gaps',
};

/** What stands in memory at the peak of a job by what it is for, and of the same job trained whole with AdamW. */
export function memoryBars({ bytes_by_kind: own, dense_bytes_by_kind: baseline }: JobPlan): HTMLElement {
  const kinds = Object.keys(words).filter((kind) => (own[kind] ?? 0) + (baseline[kind] ?? 0) > 0);
  const longest = Math.max(sum(own), sum(baseline));
  return element(
    'section',
    { 'aria-label': 'Memory' },
    element('h3', {}, 'Memory at the peak'),
    bar('this job', own, kinds, longest),
    bar('dense, AdamW', baseline, kinds, longest),
    legend(kinds, own, baseline),
  );
}

const sum = (bytes: Readonly<Record<string, number>>): number =>
  Object.values(bytes).reduce((total, part) => total + part, 0);

function bar(
  name: string,
  bytes: Readonly<Record<string, number>>,
  kinds: readonly string[],
  longest: number,
): HTMLElement {
  const present = kinds.filter((kind) => (bytes[kind] ?? 0) > 0);
  const parts = present.map((kind) => {
    const part = element('span', {
      class: `kind-${kind}`,
      title: `${wordOf(kind)}: ${formatBytes(bytes[kind] ?? 0)}`,
    });
    part.style.inlineSize = `${(100 * (bytes[kind] ?? 0)) / longest}%`;
    return part;
  });
  return element(
    'div',
    { class: 'bar' },
    element('span', { class: 'bar-name' }, name),
    element('span', { class: 'bar-parts', 'aria-hidden': 'true' }, ...parts),
    element('span', { class: 'bar-peak' }, formatBytes(sum(bytes))),
  );
}

function legend(
  kinds: readonly string[],
  own: Readonly<Record<string, number>>,
  baseline: Readonly<Record<string, number>>,
): HTMLElement {
  const rows = kinds.map((kind) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, element('span', { class: `swatch kind-${kind}` }), ` ${wordOf(kind)}`),
      element('td', { class: 'number' }, bytesOrNone(own[kind])),
      element('td', { class: 'number' }, bytesOrNone(baseline[kind])),
    ),
  );
  return element(
    'table',
    { class: 'legend' },
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        element('th', { scope: 'col' }, 'for'),
        ...['this job', 'dense, AdamW'].map((head) => element('th', { scope: 'col', class: 'number' }, head)),
      ),
    ),
    element('tbody', {}, ...rows),
  );
}

const bytesOrNone = (bytes = 0): string => (bytes === 0 ? '0' : formatBytes(bytes));
const wordOf = (kind: string): string => words[kind] ?? kind;
