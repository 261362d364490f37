import { expect, test } from '@jest/globals';
import { ServerWatch } from '../../lib/jobs/server-watch.js';

const beats = (counts: Readonly<Record<string, number>>): ReadonlyMap<string, number> =>
  new Map(Object.entries(counts));

test('a server is gone when its count has stood still for as long as is asked, on the clock of who watches', () => {
  const watch = new ServerWatch();
  expect(watch.lost(beats({ a: 5, b: 1 }), 100, 0)).toEqual([]);
  expect(watch.lost(beats({ a: 5, b: 2 }), 100, 99)).toEqual([]);
  expect(watch.lost(beats({ a: 5, b: 2 }), 100, 100)).toEqual(['a']);
  expect(watch.lost(beats({ b: 2 }), 100, 198)).toEqual([]);
  expect(watch.lost(beats({ b: 2 }), 100, 199)).toEqual(['b']);
});

test('one that was not there meanwhile is looked at anew, and a count that goes back is a beat, too', () => {
  const watch = new ServerWatch();
  watch.lost(beats({ a: 5, b: 9 }), 100, 0);
  expect(watch.lost(beats({ b: 1 }), 100, 100)).toEqual([]);
  expect(watch.lost(beats({ a: 5, b: 1 }), 100, 150)).toEqual([]);
  expect(watch.lost(beats({ a: 5, b: 1 }), 100, 250)).toEqual(['a', 'b']);
});
