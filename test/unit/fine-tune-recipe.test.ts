import { describe, expect, test } from '@jest/globals';
import { fineTuneFromRecipe } from '../../lib/train/index.js';

const recipe = { model: 'base', data: 'chats.jsonl', outputDirectory: 'runs/mine' };

describe('a recipe of a fine-tuning', () => {
  test('has the options, and chooses nothing that is left out', () => {
    const values = { ...recipe, learningRate: 0.001, memoryLimitBytes: '2KiB', preference: { beta: 0.2 } };
    expect(fineTuneFromRecipe(recipe)).toEqual(recipe);
    expect(fineTuneFromRecipe(values)).toEqual({ ...values, memoryLimitBytes: 2048 });
  });

  test.each([['lora'], [{ name: 'lora' }]])('makes a method of %j', (method) => {
    const options = fineTuneFromRecipe({ ...recipe, data: { records: ['a', 'b'] }, method });
    expect(options.method!.name).toBe('lora');
    expect(options.data).toEqual({ records: ['a', 'b'] });
  });

  test.each<[object, string, string]>([
    [{ model: undefined }, 'ERR_COMPACT_CONFIG_VALUE', 'model'],
    [{ data: 3 }, 'ERR_COMPACT_CONFIG_VALUE', 'data'],
    [{ batchSize: '4' }, 'ERR_COMPACT_CONFIG_VALUE', 'batchSize'],
    [{ method: { name: 'lora', r: 0 } }, 'ERR_COMPACT_RANK', 'method.r'],
    [{ method: 'lorra' }, 'ERR_COMPACT_CONFIG_VALUE', 'method.name'],
    [{ learningrate: 1 }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', 'learningrate'],
    [{ baseModel: 'other' }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', 'baseModel'],
    [{ onTokenize: 'f' }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', 'onTokenize'],
  ])('refuses %j', (change, code, op) => {
    expect(() => fineTuneFromRecipe({ ...recipe, ...change })).toThrow(
      expect.objectContaining({ name: 'CompactError', code, op }),
    );
  });
});
