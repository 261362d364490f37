/** What the entries of the package export: the first one stays small, and together they leave nothing out. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as compile from '../../lib/compile/index.js';
import * as data from '../../lib/data/index.js';
import * as graphEntry from '../../lib/entries/graph.js';
import * as runtimeEntry from '../../lib/entries/runtime.js';
import * as serverEntry from '../../lib/entries/server.js';
import * as graph from '../../lib/graph/index.js';
import * as main from '../../lib/index.js';
import * as memory from '../../lib/memory/index.js';
import * as methods from '../../lib/methods/index.js';
import * as presets from '../../lib/methods/presets/index.js';
import * as models from '../../lib/models/index.js';
import * as runtime from '../../lib/runtime/index.js';
import * as server from '../../lib/server/index.js';
import * as train from '../../lib/train/index.js';

const entries = { '.': main, './graph': graphEntry, './runtime': runtimeEntry, './server': serverEntry };

test('the main entry has what trains, samples and plans, and no ops or engines', () => {
  const names = Object.keys(main);
  expect(names).toEqual(
    expect.arrayContaining(['Trainer', 'Sampler', 'compact', 'dense', 'llama', 'compile', 'memoryReport']),
  );
  expect(names).not.toEqual(expect.arrayContaining(['Engine']));
  const others = names.filter((name) => !Object.hasOwn(presets, name));
  expect(others.length).toBeLessThan(30);
});

test('whatever a folder exports is in an entry', () => {
  const exported = new Set(Object.values(entries).flatMap((entry) => Object.keys(entry)));
  const folders = { compile, data, graph, memory, methods, models, runtime, server, train };
  for (const [folder, values] of Object.entries(folders))
    expect([folder, Object.keys(values).filter((name) => !exported.has(name))]).toEqual([folder, []]);
});

test('a name means the same in every entry', () => {
  const meanings = new Map<string, unknown>();
  for (const entry of Object.values(entries))
    for (const [name, value] of Object.entries(entry)) {
      if (meanings.has(name)) expect([name, value]).toEqual([name, meanings.get(name)]);
      meanings.set(name, value);
    }
});

test('the manifest has these entries, each with its types', () => {
  const { exports } = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  const { './package.json': _, ...found } = exports;
  expect(Object.keys(found)).toEqual(Object.keys(entries));
  for (const entry of Object.values(found))
    expect(entry).toEqual({
      types: expect.stringMatching(/^\.\/dist\/.*\.d\.ts$/),
      default: expect.stringMatching(/^\.\/dist\/.*\.js$/),
    });
});
