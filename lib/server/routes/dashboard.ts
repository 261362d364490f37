import type { FastifyInstance } from 'fastify';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { securityHeaders } from '../hooks/security-headers.js';

/** The page as it was built, beside this package's modules. */
const folder = join(__dirname, '..', '..', 'dashboard');

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
};

/** Of the page: it loads what this server has, and talks to nobody else. */
const pageHeaders = {
  ...securityHeaders,
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
};

/** A page to look at jobs, at `/`. It holds no secret: what it shows it asks for by the key of who looks at it. */
export function registerDashboard(app: FastifyInstance): void {
  const open = { config: { scope: 'open' } } as const;
  const files = new Map([...builtFiles(), ...chartFiles()]);
  const page = files.get('index.html');
  if (page === undefined) return; // a build without it
  app.get('/', open, (_, reply) => reply.headers(pageHeaders).type(types['.html']!).send(page));
  for (const [name, content] of files)
    app.get(`/dashboard/${name}`, open, (_, reply) =>
      reply.headers(pageHeaders).type(types[extname(name)]!).send(content),
    );
}

function builtFiles(): readonly (readonly [string, Buffer])[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => types[extname(name)] !== undefined);
  return names.map((name) => [name, readFileSync(join(folder, name))]);
}

/** Charts are those of uPlot, a package that may be absent: the page then says so in their place. */
function chartFiles(): readonly (readonly [string, Buffer])[] {
  let library: string;
  try {
    library = dirname(require.resolve('uplot'));
  } catch {
    return [];
  }
  return ['uPlot.esm.js', 'uPlot.min.css'].map((name) => [name, readFileSync(join(library, name))]);
}
