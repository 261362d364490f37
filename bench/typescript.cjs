// Lets Node load the TypeScript of bench/ as it stands. What it imports of lib/ is taken from dist/: benchmarks measure
// what is shipped.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { transformSync } = require('@swc/core');

const root = path.resolve(__dirname, '..');
const options = {
  jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
};

require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(fs.readFileSync(filename, 'utf8'), { ...options, filename });
  const placed = code.replace(/\brequire\("(\.[^"]+)\.js"\)/g, (_, name) => {
    const [folder, ...rest] = path.relative(root, path.resolve(path.dirname(filename), name)).split(path.sep);
    const file =
      folder === 'lib' ? path.join(root, 'dist', ...rest) : path.join(root, folder, ...rest) + '.ts';
    return `require(${JSON.stringify(file)})`;
  });
  // oxlint-disable-next-line no-underscore-dangle -- the name that Node gave it
  module._compile(placed, filename);
};
