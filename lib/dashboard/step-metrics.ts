import type { JobEvent } from './types.js';
import type { Line } from './types.js';

/** What is drawn of a job, and the names that events have for it. */
const names = { loss: 'loss', evalLoss: 'held-out loss', learningRate: 'learning rate' } as const;
type Name = keyof typeof names;

/** Metrics of a job by step. */
export class StepMetrics {
  readonly #rows = new Map<number, Partial<Record<Name, number>>>();

  /** @returns whether there is more to draw */
  add({ type, data }: Pick<JobEvent, 'type' | 'data'>): boolean {
    const step = data['step'];
    if (type !== 'metrics' || typeof step !== 'number') return false;
    const row = this.#rows.get(step) ?? {};
    for (const name of Object.keys(names) as Name[]) {
      const value = data[name];
      if (typeof value === 'number') row[name] = value;
    }
    this.#rows.set(step, row);
    return true;
  }

  get steps(): readonly number[] {
    return [...this.#rows.keys()].sort((a, b) => a - b);
  }

  values(name: Name, steps = this.steps): (number | null)[] {
    return steps.map((step) => this.#rows.get(step)?.[name] ?? null);
  }

  /** The lines of one job. */
  lines(): Line[] {
    const line = (name: Name, colour: number, change: Partial<Line> = {}): Line => ({
      ...{ label: names[name], values: this.values(name), colour, ...change },
    });
    return [
      line('loss', 0),
      line('evalLoss', 1),
      line('learningRate', 2, { isOnRight: true, isDashed: true }),
    ];
  }
}
