import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import { Trainer } from '../../lib/train/index.js';
import { expectNothingLost, fourSaves, newOutput, undisturbed } from '../helpers/fault-run.js';
import { callsToTry, isWholeSweep, tellProgress } from '../helpers/fault-sweep.js';
import { FileFaults } from '../helpers/file-faults.js';
import { makeFolder, tinyConfig, tinyMethod, tinyRun } from '../helpers/tiny-run.js';
import { startTrainerChild } from '../helpers/trainer-child.js';

jest.setTimeout(isWholeSweep ? 4 * 3600_000 : 600_000);
const { folder, text } = makeFolder();
const run = { ...fourSaves, data: { train: text }, model: tinyConfig, method: tinyMethod } as const;

/** The counter of calls as a script for a child. */
const { code: fileFaults } = transformSync(
  readFileSync(join(__dirname, '..', 'helpers', 'file-faults.ts'), 'utf8'),
  { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
);
const killAt = (call: number): string => `
  const exported = {};
  (function (exports) { ${fileFaults} })(exported);
  (await exported.FileFaults.install(${JSON.stringify(folder)})).start({ call: ${call}, code: 'SIGKILL' });
`;

test('killed at any call to the file system, a run goes on from its last checkpoint, and ends with the bits of a run that was left alone', async () => {
  const faults = await FileFaults.install(folder);
  const expected = await undisturbed(folder, text, faults);
  faults.restore();
  const calls = callsToTry(expected.numCalls, 1);
  const failures: string[] = [];
  let numTorn = 0;
  for (const [done, call] of calls.entries()) {
    const outputDirectory = newOutput(folder);
    const child = startTrainerChild({ ...run, outputDirectory }, { setUp: killAt(call) });
    const { exitCode, stderr } = await child.ended;
    const { lines } = child;
    if (exitCode !== null || stderr !== '') failures.push(`${call}: ended with ${exitCode}, ${stderr}`);
    const names = await readdir(outputDirectory).catch(() => []);
    if (names.some((name) => name.endsWith('.partial'))) numTorn++;
    try {
      const saved = lines.flatMap(({ checkpoint }) => (checkpoint === undefined ? [] : [Number(checkpoint)]));
      await expectNothingLost(text, outputDirectory, saved, expected);
    } catch (problem) {
      failures.push(`${call}: then ${(problem as Error).message}`);
    }
    tellProgress('kill', done + 1, calls.length);
  }
  tellProgress(`kill: ${numTorn} of ${calls.length} in the middle of a save`);
  expect(failures).toEqual([]);
  expect(numTorn).toBeGreaterThan(calls.length / 2);
});

test('a folder is refused while a run in it lives, and free when that is killed', async () => {
  const outputDirectory = join(folder, 'locked');
  const child = startTrainerChild({ ...run, maxSteps: 1_000_000, outputDirectory });
  await child.next('checkpoint');
  const other = tinyRun(text, { ...fourSaves, maxSteps: 1_000_000, outputDirectory });
  await expect(Trainer.create(other)).rejects.toMatchObject({
    code: 'ERR_COMPACT_OUTPUT_LOCKED',
    message: expect.stringContaining(String(child.process.pid)),
  });
  child.process.kill('SIGKILL');
  await child.ended;
  await (await Trainer.create(other)).close();
});
