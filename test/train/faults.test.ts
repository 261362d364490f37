import { isCompactError } from '../../lib/errors.js';
import { expectNothingLost, fourSaves, newOutput, train, undisturbed } from '../helpers/fault-run.js';
import type { Undisturbed } from '../helpers/fault-run.js';
import { FileFaults } from '../helpers/file-faults.js';
import { callsToTry, isWholeSweep, tellProgress } from '../helpers/fault-sweep.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

jest.setTimeout(isWholeSweep ? 4 * 3600_000 : 600_000);
const { folder, text } = makeFolder();

const kinds = ['ENOSPC', 'EIO', 'EROFS', 'EACCES'].flatMap((code) =>
  [false, true].map((isLasting) => [code, isLasting] as const),
);

describe('a disk that refuses a call of a run with four saves', () => {
  let faults: FileFaults;
  let expected: Undisturbed;
  /** Of starts that were refused: there is no trainer yet to tell them. */
  const processWarnings: unknown[] = [];
  beforeAll(async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void processWarnings.push(warning));
    faults = await FileFaults.install(folder);
    expected = await undisturbed(folder, text, faults);
  });
  afterAll(() => faults.restore());

  test.each(
    kinds.map(([code, isLasting], i) => ({ code, isLasting, i, when: isLasting ? 'from then on' : 'once' })),
  )(
    '$code $when: the error is typed and names path and reason, nothing is lost, nothing is left',
    async ({ code, isLasting, i, when }) => {
      const failures: string[] = [];
      const calls = callsToTry(expected.numCalls, i);
      let numFailed = 0;
      for (const [done, call] of calls.entries()) {
        const outputDirectory = newOutput(folder);
        processWarnings.length = 0;
        faults.start({ code, isLasting, call });
        const { saved, problems, hasFailed } = await train(tinyRun(text, { ...fourSaves, outputDirectory }));
        const where = `${call}, ${faults.calls[call]}`;
        faults.start();
        if (hasFailed) numFailed++;
        for (const problem of problems)
          if (
            !isCompactError(problem) ||
            !problem.message.includes(folder) ||
            !problem.message.includes(code)
          )
            failures.push(`${where}: ${String(problem)}`);
          else if ((problem.remedy ?? problem.expected) === undefined) failures.push(`${where}: no remedy`);
        for (const warning of processWarnings)
          if (!String(warning).includes(code)) failures.push(`${where}: ${String(warning)}`);
        try {
          await expectNothingLost(text, outputDirectory, saved, expected);
        } catch (problem) {
          failures.push(`${where}: then ${(problem as Error).message}`);
        }
        tellProgress(`${code} ${when}`, done + 1, calls.length);
      }
      tellProgress(`${code} ${when}: ${numFailed} runs failed, the others went on`);
      expect(failures).toEqual([]);
      expect(numFailed).toBeGreaterThan(calls.length / 2);
    },
  );
});
