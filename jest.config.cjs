module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  coverageProvider: 'v8',
  collectCoverageFrom: ['lib/**/*.ts'],
  transform: {
    '^.+\\.[cm]?tsx?$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};
