import { element } from './elements.js';
import type { JobEvent } from './types.js';

/** What the model wrote at a step, behind what it was given; undefined for events that tell of something else. */
export function sampleBlock({ message, data }: JobEvent): HTMLElement | undefined {
  const { prompt, sample } = data;
  if (typeof sample !== 'string') return undefined;
  const given = typeof prompt === 'string' ? prompt : '';
  return element(
    'figure',
    { class: 'sample' },
    element('figcaption', {}, message),
    element('pre', {}, element('b', {}, given), sample),
  );
}
