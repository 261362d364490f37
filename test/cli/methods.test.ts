/** What there is to train with: the listing is what methods and optimizers say of themselves. */
import { describe, expect, test } from '@jest/globals';
import { methodCatalogue, methodFromDescription, methodNames } from '../../lib/methods/index.js';
import { runCommand } from './run-command.js';

const { methods, optimizers, common } = methodCatalogue();

describe('compact-train methods', () => {
  test('--json lists every method and optimizer with its options', async () => {
    const { stdout, code } = await runCommand(['methods', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify({ methods, optimizers, common })));
    for (const { source, options, devices } of [...methods, ...optimizers]) {
      expect(source.length).toBeGreaterThan(10);
      expect(devices).toEqual(['cpu', 'cuda']);
      for (const option of options)
        expect(option).toEqual({
          name: expect.any(String),
          type: expect.any(String),
          default: option.default,
          isRequired: false,
        });
    }
    expect(methods.map(({ name }) => name).toSorted()).toEqual([...methodNames].toSorted());
  });

  test('on a screen it names all of them', async () => {
    const { stdout } = await runCommand(['methods']);
    for (const { name } of [...methods, ...optimizers]) expect(stdout).toContain(name);
  });

  test('one of them is shown with its options and what goes with it', async () => {
    const galore = methods.find(({ name }) => name === 'galore')!;
    const asJson = await runCommand(['methods', 'galore', '--json']);
    expect(JSON.parse(asJson.stdout)).toEqual(JSON.parse(JSON.stringify(galore)));
    const onScreen = await runCommand(['methods', 'galore']);
    for (const { name } of [...galore.options, ...common]) expect(onScreen.stdout).toContain(name);
    for (const name of [galore.source, ...galore.composesWith]) expect(onScreen.stdout).toContain(name);
    const ofOptimizer = await runCommand(['methods', 'muon']);
    expect(ofOptimizer.stdout).toContain('updateSize');
    expect(ofOptimizer.stdout).not.toContain('embeddingChunk');
  });

  test('a nearly right name of one of them is told', async () => {
    const { stderr, code } = await runCommand(['methods', 'galor']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean galore?');
  });

  test('a nearly right name is told', async () => {
    const { stderr, code } = await runCommand(['plan', '-m', 'llama-demo', '--method', 'compct']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean compact?');
  });
});

describe('the catalogue', () => {
  test('what goes together can be made, what does not is refused with a typed error', () => {
    for (const { name, composesWith } of methods)
      for (const optimizer of optimizers) {
        const make = () => methodFromDescription({ name, optimizer: optimizer.name });
        expect(optimizer.composesWith.includes(name)).toBe(composesWith.includes(optimizer.name));
        if (composesWith.includes(optimizer.name)) expect(make().name).toBe(name);
        else expect(make).toThrow(expect.objectContaining({ name: 'CompactError' }));
      }
  });

  test('defaults are those that a method describes itself with', () => {
    for (const { name, options } of methods) {
      const described = methodFromDescription({ name }).describe();
      for (const option of options)
        if (option.default !== null)
          expect([option.name, described[option.name]]).toEqual([option.name, option.default]);
    }
  });
});
