import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { packagedRecipes, parseRecipe, readRecipeFile, setRecipeValue } from '../../lib/cli/recipe-file.js';
import { withRecipeFlags } from '../../lib/cli/recipe-flags.js';
import { trainerOptions } from '../../lib/cli/recipe.js';

const minimal = `
model: llama-demo
method: dense
data: corpus.txt
batchSize: 2
sequenceLength: 16
maxSteps: 3
learningRate: 0.001
`;

const optionsOf = (text: string) => trainerOptions(parseRecipe(text, 'recipe.yaml'));

describe('a recipe', () => {
  test('gives the options of a trainer; names stand for mappings', () => {
    const options = optionsOf(minimal);
    expect(options).toMatchObject({ batchSize: 2, maxSteps: 3, data: { train: 'corpus.txt' } });
    expect(options.method.name).toBe('dense');
    expect(options.model.describe()).toMatchObject({ hiddenSize: 192 });
  });

  test('builds a method from its own options', () => {
    const options = optionsOf(
      minimal.replace('method: dense', 'method: {name: compact, rankRatio: 0.5, store: lazy}'),
    );
    expect(options.method.describe()).toMatchObject({ name: 'compact', rankRatio: 0.5, store: 'lazy' });
  });

  test('overrides single values of a preset', () => {
    const options = optionsOf(minimal.replace('llama-demo', '{preset: llama-demo, numHiddenLayers: 1}'));
    expect(options.model.describe()).toMatchObject({ numHiddenLayers: 1, hiddenSize: 192 });
  });

  test('starts another architecture from its own numbers', () => {
    const numbers =
      '{architecture: qwen2, vocabSize: 300, hiddenSize: 64, intermediateSize: 96, numHiddenLayers: 1';
    const options = optionsOf(minimal.replace('llama-demo', `${numbers}, numAttentionHeads: 2}`));
    expect(options.model.describe()).toMatchObject({ architecture: 'qwen2', numKeyValueHeads: 2 });
    expect(() => optionsOf(minimal.replace('llama-demo', '{architecture: qwen, vocabSize: 300}'))).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_MODEL_UNKNOWN' }),
    );
  });

  test.each([
    ['an unknown key', `${minimal}lerningRate: 0.1\n`, 'recipe.yaml:9', "Did you mean 'learningRate'?"],
    [
      'an unknown data key',
      minimal.replace('data: corpus.txt', 'data:\n  train: a\n  validaton: b'),
      'recipe.yaml:6',
      "Did you mean 'validation'?",
    ],
    [
      'an unknown method option',
      minimal.replace('dense', '{name: compact, rankRato: 0.5}'),
      'recipe.yaml:3',
      "Did you mean 'rankRatio'?",
    ],
    [
      'an unknown model option',
      minimal.replace('llama-demo', '{preset: llama-demo, hiddenSiz: 8}'),
      'recipe.yaml:2',
      "Did you mean 'hiddenSize'?",
    ],
  ])('refuses %s with its line and the nearest known name', (_, text, place, remedy) => {
    expect(() => optionsOf(text)).toThrow(
      expect.objectContaining({
        code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
        what: expect.stringContaining(place),
        remedy,
      }),
    );
  });

  test.each([
    ['zero batch', minimal.replace('batchSize: 2', 'batchSize: 0'), 'ERR_COMPACT_CONFIG_VALUE', 'batchSize'],
    [
      'text for a number',
      minimal.replace('maxSteps: 3', 'maxSteps: many'),
      'ERR_COMPACT_CONFIG_VALUE',
      'maxSteps',
    ],
    [
      'an unknown schedule',
      `${minimal}lrSchedulerType: cosin\n`,
      'ERR_COMPACT_CONFIG_VALUE',
      'lrSchedulerType',
    ],
    [
      'an unknown preset',
      minimal.replace('llama-demo', 'llama-demmo'),
      'ERR_COMPACT_MODEL_UNKNOWN',
      'llama-demo',
    ],
    ['an unknown method', minimal.replace('dense', 'dens'), 'ERR_COMPACT_CONFIG_VALUE', 'dense'],
    [
      'both ranks',
      minimal.replace('dense', '{name: compact, rank: 8, rankRatio: 0.5}'),
      'ERR_COMPACT_RANK',
      'both',
    ],
    [
      'a rank for dense',
      minimal.replace('dense', '{name: dense, rank: 8}'),
      'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
      'compact',
    ],
    ['a missing key', minimal.replace('maxSteps: 3', ''), 'ERR_COMPACT_CONFIG_VALUE', 'maxSteps'],
  ])('refuses %s', (_, text, code, word) => {
    expect(() => optionsOf(text)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(word) }),
    );
  });

  test.each([
    ['nothing', ''],
    ['a list', '- 1'],
    ['broken YAML', 'a: [1'],
  ])('refuses %s', (_, text) => {
    expect(() => optionsOf(text)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE' }));
  });

  test('of the package is found by its path in a folder that has no such file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'compact-recipe-'));
    const before = process.cwd();
    process.chdir(folder);
    try {
      expect(readRecipeFile('recipes/quickstart.yaml').values).toMatchObject({ model: 'llama-demo' });
      mkdirSync('recipes');
      writeFileSync('recipes/quickstart.yaml', minimal);
      expect(readRecipeFile('recipes/quickstart.yaml').values).toMatchObject({ maxSteps: 3 });
    } finally {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    }
  });

  test.each(packagedRecipes())('of the package reads the text of the package: %s', (name) => {
    expect(readRecipeFile(name).values).toMatchObject({ data: { train: 'addresses' } });
  });

  test('that names compact alone takes its default rank', () => {
    const { method } = optionsOf(minimal.replace('dense', 'compact'));
    expect(method.describe()).toMatchObject({ name: 'compact', rankRatio: 0.25 });
  });

  test('takes memory with a unit', () => {
    expect(optionsOf(`${minimal}memoryLimitBytes: 24GiB\n`).memoryLimitBytes).toBe(24 * 2 ** 30);
    expect(() => optionsOf(`${minimal}memoryLimitBytes: '24'\n`)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'memoryLimitBytes' }),
    );
  });

  test.each([
    ['a folder', () => tmpdir()],
    ['a device', () => '/dev/zero'],
    [
      'a file beyond what a recipe can be',
      () => {
        const path = join(mkdtempSync(join(tmpdir(), 'compact-train-')), 'large.yaml');
        writeFileSync(path, `# ${'x'.repeat(2 ** 20)}`);
        return path;
      },
    ],
  ])('is not %s', (_, path) => {
    expect(() => readRecipeFile(path())).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', what: expect.stringContaining('recipe') }),
    );
  });

  test('that is a pipe is refused at once', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'compact-train-')), 'pipe.yaml');
    const { status } = spawnSync('mkfifo', [path]);
    if (status !== 0) return console.warn('not tested: this system has no mkfifo');
    expect(() => readRecipeFile(path)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', received: 'no regular file' }),
    );
  });

  test('of aliases within aliases is refused', () => {
    const levels = Array.from({ length: 12 }, (_, i) => `k${i + 1}: &k${i + 1} [${`*k${i}, `.repeat(9)}]`);
    expect(() => optionsOf(`k0: &k0 [x]\n${levels.join('\n')}\n`)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE' }),
    );
  });

  test('that does not exist names the packaged ones', () => {
    expect(() => readRecipeFile('quickstrat')).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', remedy: 'Did you mean quickstart?' }),
    );
  });
});

const withFlags = (given: Record<string, unknown>) => {
  const file = parseRecipe(minimal, 'recipe.yaml');
  return trainerOptions(withRecipeFlags(file, given));
};

describe('flags over a recipe', () => {
  test('replace values; a method comes before its options', () => {
    const options = withFlags({ method: 'compact', rankRatio: 0.5, maxSteps: 7, data: 'other.txt' });
    expect(options.method.describe()).toMatchObject({ name: 'compact', rankRatio: 0.5 });
    expect(options).toMatchObject({ maxSteps: 7, data: { train: 'other.txt' } });
  });

  test('rates of embeddings, head and norms are keys and flags of their own', () => {
    const rates = { embeddingLearningRate: 0.02, headLearningRate: 0.03, normLearningRate: 0.04 };
    expect(withFlags(rates)).toMatchObject({ learningRate: 0.001, ...rates });
    expect(optionsOf(`${minimal}headLearningRate: 0.02\n`)).toMatchObject({ headLearningRate: 0.02 });
  });

  test('--set reaches into sections and wins', () => {
    const set = ['maxSteps=9', 'model.numHiddenLayers=1', 'data.validationFraction=0.5'];
    const options = withFlags({ maxSteps: 7, set });
    expect(options).toMatchObject({ maxSteps: 9, data: { train: 'corpus.txt', validationFraction: 0.5 } });
    expect(options.model.describe()).toMatchObject({ numHiddenLayers: 1 });
  });

  test('--set key=null unsets, which the refusal of two that exclude each other says', () => {
    const file = parseRecipe(`${minimal}warmupRatio: 0.1\n`, 'recipe.yaml');
    withRecipeFlags(file, { set: ['warmupSteps=10'] });
    expect(() => trainerOptions(file)).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining('--set warmupRatio=null') }),
    );
    withRecipeFlags(file, { set: ['warmupRatio=null'] });
    expect(trainerOptions(file)).toMatchObject({ warmupSteps: 10 });
  });

  test('--method alone is a way to another method', () => {
    const file = parseRecipe(minimal.replace('dense', '{name: dense, weightDecay: 0.1}'), 'recipe.yaml');
    withRecipeFlags(file, { set: [], method: 'compact' });
    expect(trainerOptions(file).method.describe()).toMatchObject({ name: 'compact', rankRatio: 0.25 });
  });

  test('a complaint names the flag that gave the value, not the file', () => {
    const complaint = (given: Record<string, unknown>): string => {
      try {
        withFlags(given);
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    expect(complaint({ model: 'llama-60n' })).toMatch(/^--model: no preset and no file/);
    expect(complaint({ sequenceLength: 4096 })).toMatch(/^--sequence-length: /);
    expect(complaint({ set: ['maxSteps=0'] })).toMatch(/^--set maxSteps: /);
    expect(complaint({ rankRatio: 0.5 })).toMatch(/^the method dense has no use for --rank-ratio/);
  });

  test('a rank takes the place of the rank of the recipe, in whichever way that is given', () => {
    const recipe = minimal.replace('dense', '{name: compact, rankRatio: 0.5, store: lazy}');
    const options = trainerOptions(withRecipeFlags(parseRecipe(recipe, 'recipe.yaml'), { rank: 8 }));
    expect(options.method.describe()).toMatchObject({ name: 'compact', rank: 8, store: 'lazy' });
    expect(options.method.describe()).not.toHaveProperty('rankRatio');
  });

  test('the method that a recipe names already keeps its options', () => {
    const recipe = minimal.replace('dense', '{name: compact, rankRatio: 0.5, store: lazy}');
    const file = withRecipeFlags(parseRecipe(recipe, 'recipe.yaml'), { method: 'compact' });
    expect(trainerOptions(file).method.describe()).toMatchObject({ rankRatio: 0.5, store: 'lazy' });
  });

  test('text stays text, whatever it looks like', () => {
    expect(withFlags({ data: '2024', outputDirectory: 'a: b' })).toMatchObject({
      data: { train: '2024' },
      outputDirectory: 'a: b',
    });
  });

  test('--set of YAML that is none says what to write', () => {
    expect(() => setRecipeValue({}, 'data.train=[a')).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_ARGUMENT', received: 'data.train=[a' }),
    );
  });

  test('--set refuses what is not an assignment', () => {
    expect(() => setRecipeValue({}, 'maxSteps')).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_ARGUMENT' }),
    );
  });

  test('--set cannot reach what is not a recipe', () => {
    for (const key of ['__proto__', 'constructor.prototype']) setRecipeValue({}, `${key}.polluted=1`);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(() => withFlags({ set: ['__proto__.polluted=1'] })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY' }),
    );
  });
});

describe('packaged recipes', () => {
  test.each(packagedRecipes())('%s is a valid recipe', (name) => {
    const options = trainerOptions(readRecipeFile(name));
    const tokens = options.batchSize * (options.gradientAccumulationSteps ?? 1) * options.sequenceLength;
    // The published global batch, or the two-minute demo's.
    expect([131_072, 2048]).toContain(tokens);
  });
});
