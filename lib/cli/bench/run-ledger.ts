import { existsSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { compactError } from '../../errors.js';
import type { BenchDevice } from './device.js';
import { appendToLedger, type LedgerCase } from './ledger.js';

/** A finished training run: what was trained, whole, as a recipe has it; device and threads left out. */
export interface LedgerRun extends LedgerCase {
  readonly recipe: Readonly<Record<string, unknown>>;
}

/**
 * Finished runs of one case, one line of JSON each. A run is known again by its recipe, so a sweep that was stopped goes on
 * where it stopped, and a wider one trains only what is new.
 */
export class RunLedger<Run extends LedgerRun> {
  readonly #file: string | undefined;
  readonly #runs: Run[];

  /**
   * @param file absent: nothing is kept
   * @throws ERR_COMPACT_ARGUMENT for a file with a line that is not JSON
   */
  constructor(file: string | undefined, rowCase: string) {
    this.#file = file;
    const rows = file !== undefined && existsSync(file) ? readRows(file) : [];
    this.#runs = rows.filter((row) => row.case === rowCase) as Run[];
  }

  find(recipe: Run['recipe']): Run | undefined {
    return this.#runs.find((run) => isDeepStrictEqual(run.recipe, recipe));
  }

  append(run: Run, device: BenchDevice): void {
    this.#runs.push(run);
    if (this.#file !== undefined) appendToLedger(this.#file, [run], device);
  }
}

function readRows(file: string): { readonly case?: unknown }[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, index) => (line === '' ? [] : [parse(line, `${file}:${index + 1}`)]));
}

function parse(line: string, place: string): { readonly case?: unknown } {
  try {
    return JSON.parse(line) as { readonly case?: unknown };
  } catch (cause) {
    throw compactError('ERR_COMPACT_ARGUMENT', `${place} is not a row of a ledger`, {
      op: '--ledger',
      expected: 'one JSON object a line',
      received: line.slice(0, 60),
      remedy: 'Remove the line, or name another file',
      cause,
    });
  }
}
