/** What the dashboard makes of streams, metrics and numbers; the page itself is looked at in a browser (test/server). */
import { describe, expect, test } from '@jest/globals';
import { EventParser, type ServerSentEvent } from '../../lib/dashboard/event-parser.js';
import { formatBytes, formatCount, formatDuration } from '../../lib/dashboard/format.js';
import { StepMetrics } from '../../lib/dashboard/step-metrics.js';

describe('events of a stream', () => {
  const text =
    'retry: 2000\n\n: alive\n\nevent: metrics\nid: 7\ndata: {"a":1}\n\ndata: plain: text\n\nevent: end\ndata: {}\n\n';
  const expected: ServerSentEvent[] = [
    { event: 'metrics', data: '{"a":1}', id: '7' },
    { event: 'message', data: 'plain: text', id: undefined },
    { event: 'end', data: '{}', id: undefined },
  ];

  test('are the same however the text is cut', () => {
    for (let size = 1; size <= text.length; size++) {
      const parser = new EventParser();
      const found: ServerSentEvent[] = [];
      for (let at = 0; at < text.length; at += size) found.push(...parser.take(text.slice(at, at + size)));
      expect(found).toEqual(expected);
    }
  });

  test('are given only once they are whole', () => {
    const parser = new EventParser();
    expect([...parser.take('data: 1\n')]).toEqual([]);
    expect([...parser.take('\n')]).toEqual([{ event: 'message', data: '1', id: undefined }]);
  });
});

test('metrics of a step that come in several events are one row, in the order of steps', () => {
  const metrics = new StepMetrics();
  const add = (data: object, type: 'metrics' | 'message' = 'metrics'): boolean =>
    metrics.add({ type, data: data as Readonly<Record<string, unknown>> });
  expect(add({ step: 20, loss: 2, learningRate: 0.1 })).toBe(true);
  expect(add({ step: 10, loss: 3 })).toBe(true);
  expect(add({ step: 20, evalLoss: 2.5 })).toBe(true);
  expect(add({ step: 30, loss: 1 }, 'message')).toBe(false);
  expect(add({ loss: 1 })).toBe(false);
  expect(metrics.steps).toEqual([10, 20]);
  expect(metrics.values('loss')).toEqual([3, 2]);
  expect(metrics.values('evalLoss', [10, 15, 20])).toEqual([null, null, 2.5]);
  expect(metrics.lines().map(({ label }) => label)).toEqual(['loss', 'held-out loss', 'learning rate']);
});

test.each([
  [formatBytes(0), '0 bytes'],
  [formatBytes(1023), '1023 bytes'],
  [formatBytes(1536), '1.50 KiB'],
  [formatBytes(20.5 * 2 ** 30), '20.5 GiB'],
  [formatBytes(2 ** 60), '1048576.0 TiB'],
  [formatCount(12_345), '12.3K'],
  [formatDuration(-1), '0 s'],
  [formatDuration(59.6), '1 min 0 s'],
  [formatDuration(3900), '1 h 5 min'],
])('%s', (found, expected) => expect(found).toBe(expected));
