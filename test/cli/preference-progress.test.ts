/** What people are told of a run of preferences: the reference before it, and what its evaluations measure. */
import { expect, test } from '@jest/globals';
import { heldOutText } from '../../lib/cli/held-out.js';
import { referenceProgress } from '../../lib/cli/reference-progress.js';
import type { Terminal } from '../../lib/cli/terminal.js';

test('how far the reference is, from its first report on', () => {
  const lines: unknown[] = [];
  const terminal = {
    isInteractive: false,
    clearStatus: () => undefined,
    line: (text: string) => lines.push(text),
    object: (value: object) => lines.push(value),
  } as unknown as Terminal;
  let ms = 0;
  const tell = referenceProgress(terminal, () => ms);
  for (ms = 60_000; ms < 62_000; ms += 500) tell({ numDone: (ms - 59_500) / 5, numAnswers: 2000 });
  tell({ numDone: 2000, numAnswers: 2000 });
  expect(lines).toEqual([
    { type: 'reference', numDone: 300, numAnswers: 2000 },
    'answers read by the reference: 300 of 2,000',
    { type: 'reference', numDone: 2000, numAnswers: 2000 },
    'answers read by the reference: 2,000 in 2.0 s',
  ]);
});

test('evaluations of pairs are told without a perplexity', () => {
  const report = { step: 1, loss: 0.5, perplexity: 1.65, numTokens: 3, durationMs: 1 };
  expect(heldOutText(report)).toBe('loss 0.5000, perplexity 1.65');
  const metrics = { rewardsAccuracy: 0.75, rewardsMargin: 0.123456 };
  expect(heldOutText({ ...report, metrics })).toBe('loss 0.5000, reward accuracy 0.75, margin 0.1235');
});
