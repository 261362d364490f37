import type { Span, Tracer } from '../../lib/jobs/tracer.js';

/** A span as it was recorded. */
export interface RecordedSpan {
  readonly name: string;
  readonly attributes: Record<string, unknown>;
  readonly errors: Error[];
  numEnds: number;
}

/** A tracer that remembers. */
export class RecordedSpans implements Tracer {
  readonly spans: RecordedSpan[] = [];

  startSpan(name: string, { attributes }: { attributes: Record<string, unknown> }): Span {
    const span: RecordedSpan = { name, attributes: { ...attributes }, errors: [], numEnds: 0 };
    this.spans.push(span);
    return {
      setAttribute: (attribute, value) => void (span.attributes[attribute] = value),
      recordException: (error) => void span.errors.push(error),
      end: () => void span.numEnds++,
    };
  }
}
