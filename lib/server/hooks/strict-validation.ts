import type { FastifySchemaCompiler } from 'fastify';
import { createRequire } from 'node:module';

type BuildCompiler = (
  schemas: object,
  options: { readonly customOptions: object },
) => FastifySchemaCompiler<unknown>;

/**
 * Fastify's own compiler of schemas, told to change nothing: as it is by default, an unknown key would be dropped and a
 * text made a number, whatever the client meant. Numbers of a query are always texts, and become numbers.
 */
export function strictValidation(): FastifySchemaCompiler<unknown> {
  const ofFastify = createRequire(require.resolve('fastify'));
  const build = (ofFastify('@fastify/ajv-compiler') as () => BuildCompiler)();
  const options = { removeAdditional: false, useDefaults: true, allErrors: false, verbose: true };
  const compileBody = build({}, { customOptions: { ...options, coerceTypes: false } });
  const compileQuery = build({}, { customOptions: { ...options, coerceTypes: true } });
  return (route) => (route.httpPart === 'body' ? compileBody : compileQuery)(route);
}
