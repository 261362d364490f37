import { describe, expect, test } from '@jest/globals';
import type { Terminal } from '../../lib/cli/terminal.js';
import { tokenizeProgress } from '../../lib/cli/tokenize-progress.js';

/** What a terminal was told, when four reports a second come for some seconds. */
function told(seconds: number, { isInteractive = false, json = false, quiet = false } = {}): unknown[] {
  const lines: unknown[] = [];
  const terminal = {
    isInteractive,
    json,
    quiet,
    columns: 80,
    status: (text: string) => lines.push(`live: ${text}`),
    clearStatus: () => isInteractive && lines.push('cleared'),
    line: (text: string) => !json && !quiet && lines.push(text),
    object: (value: object) => json && lines.push(value),
  } as unknown as Terminal;
  let ms = 0;
  const report = tokenizeProgress(terminal, () => ms);
  const totalBytes = seconds * 2 ** 20;
  for (ms = 250; ms < seconds * 1000; ms += 250) report({ doneBytes: (ms / 1000) * 2 ** 20, totalBytes });
  report({ doneBytes: totalBytes, totalBytes });
  return lines;
}

describe('progress of tokenising', () => {
  test('is not told where it is over at once', () => {
    expect(told(0.75)).toEqual([]);
    expect(told(0.75, { isInteractive: true })).toEqual([]);
    expect(told(0.75, { json: true })).toEqual([]);
  });

  test('is a line every five seconds in a log, and one at the end', () => {
    expect(told(12)).toEqual([
      'tokenising 1.00 MiB of 12.0 MiB',
      'tokenising 6.00 MiB of 12.0 MiB',
      'tokenising 11.0 MiB of 12.0 MiB',
      'tokenised 12.0 MiB in 00:12',
    ]);
  });

  test('is a live line with the time that is left on a terminal', () => {
    const lines = told(12, { isInteractive: true });
    expect(lines[0]).toMatch(/^live: ━+─+ tokenising 1\.00 MiB of 12\.0 MiB {2}ETA 00:11$/);
    expect(lines).toHaveLength(4 * 11 + 2);
    expect(lines.slice(-2)).toEqual(['cleared', 'tokenised 12.0 MiB in 00:12']);
  });

  test('is objects with --json, and nothing with --quiet', () => {
    expect(told(4, { json: true })).toEqual([
      { type: 'tokenize', doneBytes: 2 ** 20, totalBytes: 2 ** 22 },
      { type: 'tokenize', doneBytes: 2 ** 22, totalBytes: 2 ** 22 },
    ]);
    expect(told(4, { json: true, quiet: true })).toEqual([]);
    expect(told(4, { quiet: true })).toEqual([]);
  });
});
