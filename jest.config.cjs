module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  // No test is timed; this only ends one that hangs, on however busy a machine.
  testTimeout: 600_000,
  // One less by default, and so a single one on two cores.
  maxWorkers: '100%',
  coverageProvider: 'v8',
  collectCoverageFrom: ['lib/**/*.ts', 'bench/**/*.ts'],
  transform: {
    '^.+\\.[cm]?tsx?$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
    '/node_modules/hyparquet/.+\\.js$': [
      '@swc/jest',
      { jsc: { target: 'es2022' }, module: { type: 'commonjs' }, sourceMaps: false },
    ],
  },
  // The one package that is of ECMAScript modules alone.
  transformIgnorePatterns: ['/node_modules/(?!hyparquet/)'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};
