/** What people are told of a run of preferences: the reference before it, and what its evaluations measure. */
import { expect, test } from '@jest/globals';
import { formatEvaluation } from '../../lib/cli/format.js';
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

test('evaluations of pairs are told by how the answers are told apart', () => {
  expect(formatEvaluation({ loss: 0.5, perplexity: 1.65 })).toBe('loss 0.5000, perplexity 1.65');
  const metrics = { rewardsChosen: 1, rewardsAccuracy: 0.75, rewardsMargin: 0.123456 };
  const expected = 'loss 0.5000, rewardsAccuracy 0.7500, rewardsMargin 0.1235';
  expect(formatEvaluation({ loss: 0.5, metrics })).toBe(expected);
});
