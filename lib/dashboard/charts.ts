import type uPlot from 'uplot';
import { element } from './elements.js';
import { formatMetric } from './format.js';
import type { Line } from './types.js';

const height = 260;

/** The library is a package of its own, which may not be installed where the server runs. */
const path = './uPlot.esm.js';
const library = import(path).then(
  (module: { default: typeof uPlot }) => module.default,
  () => undefined,
);

/** A colour of the style sheet as a canvas knows it, which is the one of the light or the dark page. */
function resolved(name: string): string {
  const probe = element('span', { hidden: true });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
const ink = (): string => resolved('ink');
const edge = (): string => resolved('edge');
const sheet = (): string => resolved('sheet');

/** A chart over steps that is drawn anew whenever there is more to show. Its caption says the last values, for who cannot see it as well. */
export class StepChart {
  readonly node: HTMLElement;
  readonly #frame = element('div', { class: 'chart', 'aria-hidden': 'true' });
  readonly #caption: HTMLElement;
  readonly #title: string;
  #plot: uPlot | undefined;
  #shape = '';

  /** @param signal aborted when the page is left */
  constructor(title: string, signal: AbortSignal) {
    this.#title = title;
    this.#caption = element('figcaption');
    this.node = element('figure', {}, this.#caption, this.#frame);
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#width, height })).observe(this.#frame);
    // Canvases do not follow the style sheet by themselves.
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#plot?.redraw(), {
      signal,
    });
  }

  async show(steps: readonly number[], lines: readonly Line[]): Promise<void> {
    this.#caption.textContent = `${this.#title}: ${latest(steps, lines)}`;
    const Plot = await library;
    if (Plot === undefined) {
      this.#frame.textContent = 'Charts need a package on the server: npm install uplot';
      return;
    }
    const data = [steps, ...lines.map(({ values }) => values)] as uPlot.AlignedData;
    const shape = JSON.stringify(lines.map(({ label, colour }) => [label, colour]));
    if (this.#plot !== undefined && shape === this.#shape) {
      this.#plot.setData(data);
      return;
    }
    this.#plot?.destroy();
    this.#shape = shape;
    this.#plot = new Plot(this.#options(lines), data, this.#frame);
  }

  get #width(): number {
    return Math.max(200, this.#frame.clientWidth);
  }

  #options(lines: readonly Line[]): uPlot.Options {
    const grid = { stroke: edge, width: 1 };
    const axis = { stroke: ink, grid, ticks: grid };
    return {
      width: this.#width,
      height,
      scales: { x: { time: false } },
      axes: [
        { ...axis, label: 'step', labelSize: 20 },
        { ...axis, size: 55 },
        {
          ...axis,
          size: 70,
          side: 1,
          scale: 'right',
          grid: { show: false },
          show: lines.some(onRight),
          values: small,
        },
      ],
      series: [
        { label: 'step', value: (_, step: number | null) => (step === null ? '' : String(step)) },
        ...lines.map((line) => ({
          label: line.label,
          scale: line.isOnRight === true ? 'right' : 'y',
          stroke: () => resolved(`line-${line.colour % 6}`),
          width: 2,
          spanGaps: true,
          points: { show: isSparse, fill: sheet },
          value: (_: uPlot, value: number | null) => (value === null ? '' : formatMetric(value)),
          ...(line.isDashed === true && { dash: [6, 4] }),
        })),
      ],
    };
  }
}

/** Points are drawn where there are few, and so a single one is seen. */
const isSparse = ({ data }: uPlot, index: number): boolean =>
  Array.from(data[index]!).filter((value) => value !== null).length < 40;
const small = (_: uPlot, ticks: number[]): string[] => ticks.map((tick) => tick.toExponential(1));
const onRight = ({ isOnRight }: Line): boolean => isOnRight === true;

function latest(steps: readonly number[], lines: readonly Line[]): string {
  if (steps.length === 0) return 'nothing measured yet';
  const values = lines.flatMap(({ label, values }) => {
    const value = values.findLast((one) => one !== null);
    return value === undefined || value === null ? [] : [`${label} ${formatMetric(value)}`];
  });
  return `step ${steps.at(-1)}, ${values.join(', ')}`;
}
