import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endlessSteps, objects, RecipeFolder } from './fixture-recipe.js';
import { type CommandOutcome, hasTerminalProgram, runCommand, runOnTerminal } from './run-command.js';
import { screenOf } from './screen.js';

// Each command is a process of its own, and test machines may be busy.
let folder: RecipeFolder;
beforeAll(() => void (folder = new RecipeFolder()));
afterAll(() => folder[Symbol.dispose]());

/** Calls back once, when the output first holds a text. */
function once(
  text: string,
  act: (child: ChildProcess) => void,
): (piece: string, child: ChildProcess) => void {
  let seen = '';
  let isDone = false;
  return (piece, child) => {
    seen += piece;
    if (isDone || !seen.includes(text)) return;
    isDone = true;
    act(child);
  };
}

const onTerminal = hasTerminalProgram ? test : test.skip;
if (!hasTerminalProgram) process.stderr.write('skipped: no `script` program to make a terminal with\n');

describe('Ctrl-C', () => {
  onTerminal(
    'leaves every line whole, says how to go on, and so does the refusal of the same command',
    async () => {
      const { path, output } = folder.recipe({ maxSteps: endlessSteps });
      const { code, stdout } = await runOnTerminal(['train', path], {
        onOutput: once(`/${endlessSteps}  loss`, ({ stdin }) => stdin!.write('\x03')),
      });
      expect(code).toBe(130);
      const lines = screenOf(stdout, 120).filter((line) => line !== '');
      const [checkpoint] = readdirSync(output).filter((name) => name.startsWith('checkpoint-'));
      const goOn = `compact-train train ${path} --resume-from-checkpoint auto`;
      const [notice, bar, ...summary] = lines.slice(-5).map((line) => line.replace(/^\^C/, ''));
      expect(notice).toBe(
        'SIGINT: interrupted. Ends after this step and saves. Once more: ends at once, unsaved.',
      );
      expect(bar).toMatch(/^─+ \d+\/1000000 {2}loss \d\.\d{3} {2}ETA \S+ {2}\S+ tokens\/s {2}\S+ [KM]iB$/);
      expect(summary[0]).toMatch(/^Stopped at step \d+ after \S+( s)?, \S+ tokens\/s$/);
      expect(summary[1]).toMatch(new RegExp(`^Saved ${output}/${checkpoint} \\(.* KiB\\)$`));
      expect(goOn.startsWith(summary[2]!.replace('Go on with: ', ''))).toBe(true);

      const refused = await runCommand(['train', path]);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain(`Go on with: ${goOn}\n`);
    },
  );
});

describe('a run that is asked to end', () => {
  test.each(['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)(
    'by %s saves, ends with code 130, and names the command that goes on',
    async (signal) => {
      const { path, output } = folder.recipe({ maxSteps: endlessSteps });
      const { code, stdout, stderr } = await runCommand(['train', path, '--json', '--seed', '7'], {
        onOutput: once('"step":3', (child) => child.kill(signal)),
      });
      expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
      const result = objects(stdout).at(-1)!;
      expect(result).toMatchObject({ type: 'result', reason: 'stopped', interrupted: true });
      const saved = join(output, `checkpoint-${String(result['step'])}`);
      expect(existsSync(saved)).toBe(true);
      expect(result['resumeCommand']).toBe(
        `compact-train train ${path} --json --seed 7 --resume-from-checkpoint auto`,
      );

      const steps = Number(result['step']) + 2;
      const goOn = ['--json', '--resume-from-checkpoint', 'latest', '--max-steps', String(steps)];
      const resumed = objects((await runCommand(['train', path, '--seed', '7', ...goOn])).stdout);
      expect(resumed[0]).toMatchObject({ resumedFrom: saved });
      expect(resumed.filter(({ type }) => type === 'step').map(({ step }) => step)).toEqual([
        steps - 1,
        steps,
      ]);
    },
  );

  test('saves though one Ctrl-C comes twice, as npx passes it on', async () => {
    const { path } = folder.recipe({ maxSteps: endlessSteps, batchSize: 64 });
    const { code, stdout } = await runCommand(['train', path, '--json'], {
      onOutput: once('"step":2', (child) => {
        child.kill('SIGINT');
        setTimeout(() => child.kill('SIGINT'), 5);
      }),
    });
    expect(code).toBe(130);
    expect(objects(stdout).at(-1)).toMatchObject({ type: 'result', checkpoint: expect.any(Object) });
  });

  test('promises no save where there is no output folder', async () => {
    const { path } = folder.recipe({ maxSteps: endlessSteps, outputDirectory: null });
    const { code, stdout, stderr } = await runCommand(['train', path], {
      onOutput: once('step 3/', (child) => child.kill('SIGINT')),
    });
    expect(code).toBe(130);
    expect(stderr).toBe(
      'SIGINT: interrupted. Ends after this step; without an output folder nothing is saved. ' +
        'Once more: ends at once.\n',
    );
    expect(stdout).not.toMatch(/Saved|Go on/);
  });

  test('twice ends at once, by the signal', async () => {
    const { path } = folder.recipe({ maxSteps: endlessSteps, batchSize: 64, sequenceLength: 128 });
    const { signal, stdout } = await runCommand(['train', path, '--json'], {
      onOutput: once('"step":2', (child) => {
        child.kill('SIGINT');
        child.kill('SIGTERM');
      }),
    });
    expect(signal).toBe('SIGINT');
    expect(objects(stdout).at(-1)).toMatchObject({ type: 'step' });
  });

  test.each(['in its output folder', 'without one'])(
    'before its first step ends with one sentence and leaves nothing behind, %s',
    async (where) => {
      const temporary = join(folder.path, `temporary ${where}`);
      mkdirSync(temporary);
      const data = join(folder.path, 'large.txt');
      writeFileSync(data, 'All work and no play.\n'.repeat(1_000_000));
      const outputDirectory = where === 'without one' ? null : join(temporary, 'runs', 'first');
      const { path } = folder.recipe({ data, outputDirectory });
      // What the start makes appears there: it is under way. What it takes back is seen as well, and is no second Ctrl-C.
      const outcome = await runCommand(['train', path], {
        env: { TMPDIR: temporary },
        onStart: (child) => {
          const watcher = watch(temporary, () => {
            watcher.close();
            child.kill('SIGINT');
          });
        },
      });
      expect(outcome).toMatchObject({ code: 130, stdout: '' });
      expect(outcome.stderr).toBe('SIGINT: interrupted before the first step, nothing is saved\n');
      expect(readdirSync(temporary)).toEqual([]);
    },
  );
});

describe('output that cannot be written', () => {
  const full = existsSync('/dev/full') ? test : test.skip;
  if (!existsSync('/dev/full')) process.stderr.write('skipped: no /dev/full to write to\n');
  const withFullOutput = (args: readonly string[]): Promise<CommandOutcome> =>
    runCommand(args, { stdout: openSync('/dev/full', 'w') });

  full('never ends the work: one word on standard error, and the run is saved', async () => {
    const { path, output } = folder.recipe();
    const { code, stderr } = await withFullOutput(['train', path]);
    expect(stderr).toBe('standard output cannot be written (ENOSPC): nothing more is printed\n');
    expect(code).toBe(0);
    expect(readdirSync(output)).toContain('checkpoint-4');
  });

  full('is a failure where the output is the result', async () => {
    const { code, stderr } = await withFullOutput(['plan', '--model', 'llama-demo']);
    expect(stderr).toBe('standard output cannot be written (ENOSPC): nothing more is printed\n');
    expect(code).toBe(1);
  });
});
