import * as v from 'valibot';

/** What a span tells of what was done; a `Span` of @opentelemetry/api is one. */
export interface Span {
  setAttribute(name: string, value: string | number | boolean): unknown;
  recordException(error: Error): unknown;
  end(): unknown;
}

/** Whoever is told how long things take, and what became of them; a `Tracer` of @opentelemetry/api is one. */
export interface Tracer {
  startSpan(name: string, options: { attributes: Record<string, string | number | boolean> }): Span;
}

export const tracerSchema = v.custom<Tracer>(
  (value) => typeof (value as Partial<Tracer> | null)?.startSpan === 'function',
  'a tracer, { startSpan(name, { attributes }) }',
);

/** A span takes errors alone, and anything may be thrown. */
export const recordThrown = (span: Span, thrown: unknown): void =>
  void span.recordException(thrown instanceof Error ? thrown : new Error(String(thrown)));
