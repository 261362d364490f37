/** scripts/gpu-bench without a GPU: what it does with a ledger, with time, and with what goes wrong. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cellName, readGrid } from '../../bench/document/grid.js';
import type { GpuRow } from '../../bench/document/gpu-rows.js';
import { llamaPresets } from '../../lib/models/index.js';
import { fakeBinary, fakeMachine } from './fake-gpu.js';
import { runBench } from '../cli/run-command.js';

const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'compact-gpu-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let numFiles = 0;
const newFile = (): string => join(folder, `file-${numFiles++}`);

const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) console.log('skipped: python3 was not found');
const describeWithPython = hasPython ? describe : describe.skip;

const rowsOf = (file: string): GpuRow[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as GpuRow)
    : [];

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly told: string;
}

function start(name: string, words: readonly string[], env: NodeJS.ProcessEnv = process.env): Outcome {
  const run = spawnSync('python3', [join(root, 'scripts', name), ...words], { env });
  return { code: run.status, out: run.stdout.toString(), told: run.stderr.toString() };
}
const gpuBench = (words: readonly string[], env?: NodeJS.ProcessEnv) => start('gpu-bench', words, env);

/** Names of cells, with what --list says of them. */
function listed(words: readonly string[], env?: NodeJS.ProcessEnv): Record<string, string> {
  const { code, out } = gpuBench([...words, '--list'], env);
  expect(code).toBe(0);
  return Object.fromEntries(
    out
      .trim()
      .split('\n')
      .map((line) => [line.split(' ', 1)[0]!, line.slice(50).trim()]),
  );
}

const step = `(line) => ({ fits: true, batch: 4, plannedBytes: 5e9,
  msPerStep: [10, 11, 12], losses: [10.4, 10.2, 9.9], memory: { allocatedBytes: 5e9 } })`;
const cells = 'llama-60m-256x256/C[02]*/bf16';
const cellNames = ['C0', 'C0-selective', 'C2-2', 'C2-4', 'C2-8', 'C0-own'].map((id) =>
  cellName({ model: 'llama-60m', batch: 256, sequence: 256 }, id),
);

test('the grid has the shapes of the presets', () => {
  for (const { name, vocab, hidden, ffn, heads, layers } of readGrid().models)
    expect({
      vocabSize: vocab,
      hiddenSize: hidden,
      intermediateSize: ffn,
      numAttentionHeads: heads,
      numHiddenLayers: layers,
    }).toEqual(llamaPresets[name]);
});

describeWithPython('the grid', () => {
  test.each(['cuda', 'cuda-emulated', 'cpu'])('on %s has no two cells of one name', (device) => {
    const { out } = gpuBench(['--device', device, '--ledger', newFile(), '--list']);
    const names = out.match(/^\S+/gm)!;
    expect(names.length).toBeGreaterThan(10);
    expect(new Set(names).size).toBe(names.length);
  });

  test('holds every contender at every size, in the words that TypeScript reads it with', () => {
    const grid = readGrid();
    const names = Object.keys(listed(['--ledger', newFile()]));
    for (const size of grid.sizes)
      for (const { id, states = ['bf16'] } of grid.contenders)
        for (const of of states) expect(names).toContain(cellName(size, id, of));
  });
});

describeWithPython('with a GPU of its own', () => {
  const machine = fakeMachine(newFile(), step);

  test('every cell runs twice in turns, and not again', () => {
    const words = ['--ledger', newFile(), '--only', cells];
    expect(gpuBench(words, machine.env)).toMatchObject({ code: 0, told: expect.stringContaining('nothing') });
    const rows = rowsOf(words[1]!);
    expect(rows.map(({ cell }) => cell).sort()).toEqual([...cellNames, ...cellNames].sort());
    expect(rows.slice(0, 6).map(({ turn }) => turn)).toEqual(Array<number>(6).fill(1));
    expect(rows[0]).toEqual(
      expect.objectContaining({
        case: 'gpu-step',
        device: 'TEST',
        batch: 256,
        p25: 10.5,
        p50: 11,
        p75: 11.5,
        tokensPerSecond: expect.closeTo((256 * 256) / 0.011, 3),
        loss: { first: 10.4, last: 9.9 },
        memory: expect.objectContaining({ tensors: 5e9, pool: 5e9 }),
        clocks: { before: { smClockMHz: 1500, powerW: 300.5 }, after: { smClockMHz: 1500, powerW: 300.5 } },
        commit: expect.any(String),
        date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      }),
    );
    expect(gpuBench(words, machine.env)).toMatchObject({ code: 0, out: '' });
    expect(rowsOf(words[1]!)).toHaveLength(12);
  });

  test('what a process takes of the GPU is the most that nvidia-smi sees beside what was there before', () => {
    // The program ends when nvidia-smi has been asked while it ran.
    const busy = join(folder, 'busy');
    const watched = fakeMachine(
      newFile(),
      `(line) => {
        fs.writeFileSync('${busy}', '');
        while (!fs.existsSync('${busy}-seen')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
        fs.rmSync('${busy}');
        return (${step})(line);
      }`,
      `if [ -e '${busy}' ]; then : > '${busy}-seen'; echo '3000, 1500, 300.5'; exit; fi`,
    );
    const words = ['--ledger', newFile(), '--only', cellNames[0]!];
    expect(gpuBench(words, watched.env).code).toBe(0);
    expect(rowsOf(words[1]!)[0]!.memory).toEqual({ tensors: 5e9, pool: 5e9, process: 2000 * 2 ** 20 });
  });

  test('a ledger with some rows leaves exactly the rest', () => {
    const words = ['--ledger', newFile(), '--only', cells];
    gpuBench(words, machine.env);
    const kept = rowsOf(words[1]!).filter(
      ({ cell, turn }) => cell !== cellNames[1] && !(cell === cellNames[3] && turn === 2),
    );
    // Rows of another commit, of another device, and one whose end was lost.
    const others = [
      { ...kept[0], cell: cellNames[1], commit: 'other' },
      { ...kept[0], cell: cellNames[1], device: 'other' },
    ];
    const text = [...kept, ...others].map((row) => `${JSON.stringify(row)}\n`).join('');
    writeFileSync(words[1]!, `${text}{"case": "gpu-step", "cell": "${cellNames[1]}", "tu`);
    const states = listed(words, machine.env);
    expect(Object.keys(states)).toEqual(cellNames);
    expect(Object.entries(states).filter(([, state]) => state !== 'done')).toEqual([
      [cellNames[1], 'to do (0 turns so far)'],
      [cellNames[3], 'to do (1 turns so far)'],
    ]);
    expect(gpuBench(words, machine.env).code).toBe(0);
    const added = rowsOf(words[1]!).slice(kept.length + others.length);
    expect(added.map(({ cell, turn }) => [cell, turn])).toEqual([
      [cellNames[1], 1],
      [cellNames[3], 2],
      [cellNames[1], 2],
    ]);
  });

  test('a cell whose medians differ by more than 2 % has four turns, and is called unsteady', () => {
    const wavering = fakeMachine(
      newFile(),
      `(line, times) => ({ ...(${step})(line), msPerStep: [10 * 1.1 ** times] })`,
    );
    const words = ['--ledger', newFile(), '--only', cellNames[0]!];
    expect(gpuBench(words, wavering.env).code).toBe(0);
    expect(rowsOf(words[1]!)).toHaveLength(4);
    expect(listed(words, wavering.env)).toEqual({ [cellNames[0]!]: 'done, unsteady' });
  });

  test('what fails is tried twice, and the ledger has its words', () => {
    const failing = fakeMachine(newFile(), `() => ({ failure: 'the device has no memory left' })`);
    const words = ['--ledger', newFile(), '--only', cellNames[0]!];
    expect(gpuBench(words, failing.env).code).toBe(0);
    expect(rowsOf(words[1]!)).toMatchObject([
      { turn: 1, failed: 'the device has no memory left' },
      { turn: 2, failed: 'the device has no memory left' },
    ]);
  });

  test('ours has the largest batch that its plan allows', () => {
    const planned = fakeMachine(
      newFile(),
      `(line) => line.includes('--largest') ? { batch: 48, fits: true } : (${step})(line)`,
    );
    const words = ['--ledger', newFile(), '--only', 'llama-350m-24GB/C1-4/bf16'];
    expect(gpuBench(words, planned.env).code).toBe(0);
    expect(rowsOf(words[1]!)).toMatchObject([
      { batch: 48, cap: 24e9 },
      { batch: 48, cap: 24e9 },
    ]);
    const timed = readFileSync(planned.started, 'utf8').split('\n')[1];
    expect(timed).toContain('--batch 48');
    expect(timed).toContain('--memory-cap 24000000000');
  });

  test('of a table of kernels, those that ran are kept when one fails', () => {
    const row = (kernel: string, us: number) =>
      `echo '{"kernel":"${kernel}","shape":"4x4","p25":${us},"p50":${us},"p75":${us}}'`;
    const binary = fakeBinary(
      newFile(),
      `${row('copy', 5)}\n${row('AdamW', 7)}\necho 'RMSNorm, 4x4: a fault' >&2\nexit 1`,
    );
    const words = ['--ledger', newFile(), '--only', 'kernels/own', '--binary', binary];
    expect(gpuBench(words, machine.env).code).toBe(0);
    const rows = rowsOf(words[1]!);
    expect(rows.filter(({ turn }) => turn === 1)).toMatchObject([
      { kernel: 'copy', provider: 'own', p50: 5 },
      { kernel: 'AdamW', provider: 'own', p50: 7 },
      { failed: 'RMSNorm, 4x4: a fault' },
    ]);
    expect(rows).toHaveLength(6);
  });
});

describeWithPython('losses beside the CPU', () => {
  const cell = 'quality/llama-60m-4x256/C0/bf16';
  const recorded = rowsOf(join(root, 'bench', 'results', 'quality-cpu.jsonl')) as unknown as {
    readonly settings: readonly string[];
    readonly losses: readonly number[];
  }[];
  const dense = recorded.findLast(({ settings }) => settings.includes('dense'))!;

  test('a run has the largest difference of any step from what was recorded', () => {
    const losses = dense.losses.map((loss, index) => (index === 100 ? loss * 1.004 : loss * 1.001));
    const machine = fakeMachine(newFile(), `() => ({ losses: ${JSON.stringify(losses)} })`);
    const words = ['--ledger', newFile(), '--only', cell];
    expect(gpuBench(words, machine.env)).toMatchObject({ code: 0, told: expect.stringContaining('nothing') });
    const rows = rowsOf(words[1]!);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      case: 'gpu-quality',
      cell,
      device: 'TEST',
      steps: 200,
      firstLoss: losses[0],
      lastLoss: losses.at(-1),
      largestDifference: expect.closeTo(0.004, 6),
    });
    const [started] = readFileSync(machine.started, 'utf8').split('\n');
    expect(started).toContain(`${dense.settings.join(' ')} --device cuda --blas vendor`);
  });

  test('was recorded for every cell of ours, with a loss that falls', () => {
    const { steps, learningRates } = readGrid().quality;
    const words = gpuBench(['--ledger', newFile(), '--only', 'quality', '--dry-run']).out.trim().split('\n');
    expect(words).toHaveLength(Object.keys(learningRates).length);
    for (const line of words.filter((text) => text.includes('--method'))) {
      const found = recorded.filter(({ settings }) => line.endsWith(`: ${settings.join(' ')}`));
      expect(found.length).toBeGreaterThan(0);
      expect(found.at(-1)!.losses).toHaveLength(steps);
      expect(found.at(-1)!.losses.at(-1)).toBeLessThan(0.4 * found.at(-1)!.losses[0]!);
    }
  });

  test('was recorded with what is trained now: the first losses are those of this CPU', async () => {
    const { settings, losses } = recorded.findLast((row) => row.settings.includes('compact'))!;
    const words = settings.map((word, index) => (settings[index - 1] === '--steps' ? '2' : word));
    const { code, stdout } = await runBench(['losses', ...words, '--json']);
    expect(code).toBe(0);
    const found = (JSON.parse(stdout) as { readonly losses: readonly number[] }).losses;
    // Instruction sets add in different orders, and AMX rounds to bf16 where others do not: less than one rounding of
    // bf16 in all. Other data, weights or rates move the loss by per cents.
    found.forEach((loss, step) => expect(Math.abs(loss / losses[step]! - 1)).toBeLessThan(2 ** -9));
    expect(found).toHaveLength(2);
  });

  test('follow the CPU on the emulated device, whose reference is made on the way', () => {
    const words = ['--device', 'cuda-emulated', '--ledger', newFile(), '--only', 'quality/*/C1-4/*'];
    expect(gpuBench(words)).toMatchObject({ code: 0, out: expect.stringContaining('turn 1: done') });
    const [row, ...others] = rowsOf(words[3]!);
    expect(others).toEqual([]);
    expect(row!.lastLoss).toBeLessThan(row!.firstLoss!);
    expect(row!.largestDifference).toBeLessThan(0.01);
    expect(row!.largestDifference).toBeGreaterThan(0); // two devices, not one twice
  });
});

describeWithPython('time', () => {
  const words = (ledger: string): string[] => ['--ledger', ledger, '--only', 'llama-60m-256x256/C0*/bf16'];
  const hangs = (what: string): string => `(line, times) => ${what} ? 'hang' : (${step})(line)`;

  test('a slice begins nothing that would end after it', () => {
    const machine = fakeMachine(newFile(), step);
    const ledger = newFile();
    expect(gpuBench([...words(ledger), '--slice-seconds', '30'], machine.env)).toMatchObject({ code: 3 });
    expect(existsSync(machine.started)).toBe(false);
    expect(existsSync(ledger)).toBe(false);
  });

  /** A ledger with a first turn of every cell, as short as a start. */
  function oneTurn(): string {
    const ledger = newFile();
    gpuBench(words(ledger), fakeMachine(newFile(), step).env);
    const first = rowsOf(ledger).filter(({ turn }) => turn === 1);
    writeFileSync(ledger, first.map((row) => `${JSON.stringify({ ...row, seconds: 0.1 })}\n`).join(''));
    return ledger;
  }

  test('a cell that is under way at the end of a slice is no failure', () => {
    const ledger = oneTurn();
    const machine = fakeMachine(newFile(), hangs(`line.includes('--blas own')`)); // the last of three
    const outcome = gpuBench([...words(ledger), '--slice-seconds', '10'], machine.env);
    expect(outcome).toMatchObject({ code: 3, told: expect.stringContaining('start again') });
    expect(rowsOf(ledger).filter(({ failed }) => failed !== undefined)).toEqual([]);
    expectEnded(machine.started);
  });

  test('a cell that fills a whole slice is one', () => {
    const ledger = oneTurn();
    const machine = fakeMachine(newFile(), hangs('true'));
    expect(gpuBench([...words(ledger), '--slice-seconds', '1'], machine.env).code).toBe(3);
    expect(rowsOf(ledger).at(-1)).toMatchObject({ turn: 2, failed: expect.stringContaining('whole slice') });
    expectEnded(machine.started);
  });

  test('so is one that takes more than its own time', () => {
    const ledger = newFile();
    // With a process of its own, which would hold its output open.
    const machine = fakeMachine(
      newFile(),
      `() => {
        const { pid } = spawn('sleep', ['1000'], { stdio: 'inherit' });
        fs.appendFileSync(started, pid + ' sleep\\n');
        return 'hang';
      }`,
    );
    const only = ['--ledger', ledger, '--only', cellNames[0]!, '--cell-seconds', '1'];
    expect(gpuBench(only, machine.env).code).toBe(0);
    expect(rowsOf(ledger)).toMatchObject([
      { failed: 'took more than 1 s' },
      { failed: 'took more than 1 s' },
    ]);
    expectEnded(machine.started);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s ends the cell, and leaves the rows before it',
    async (signal) => {
      const ledger = oneTurn();
      const before = readFileSync(ledger, 'utf8');
      const machine = fakeMachine(newFile(), hangs('true'));
      const child = spawn('python3', [join(root, 'scripts', 'gpu-bench'), ...words(ledger)], {
        env: machine.env,
      });
      let told = '';
      child.stderr.on('data', (text) => (told += text));
      const ended = new Promise((resolve) => child.on('close', resolve));
      while (!existsSync(machine.started)) await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill(signal);
      expect(await ended).toBe(130);
      expect(told).toBe('interrupted; start again for the rest\n');
      expect(readFileSync(ledger, 'utf8')).toBe(before);
      expectEnded(machine.started);
    },
  );

  /** Of the programs that were started, none is left. */
  function expectEnded(started: string): void {
    for (const [, pid] of readFileSync(started, 'utf8').matchAll(/^(\d+) /gm)) {
      const status = `/proc/${pid}/stat`;
      const isAlive = existsSync(status) && !/\) Z /.test(readFileSync(status, 'utf8'));
      expect([pid, isAlive]).toEqual([pid, false]);
    }
  }
});

describeWithPython('what goes wrong', () => {
  test('a full disk leaves whole rows', () => {
    const machine = fakeMachine(newFile(), step);
    const ledger = newFile();
    const words = ['--ledger', ledger, '--only', cellNames[0]!];
    // Of a file that may have 1 KiB the first row fits, of the second a part.
    const limited = [
      '-c',
      'ulimit -f 1; exec "$0" "$@"',
      'python3',
      join(root, 'scripts', 'gpu-bench'),
      ...words,
    ];
    const run = spawnSync('bash', limited, { env: { ...machine.env, PYTHONDONTWRITEBYTECODE: '1' } });
    expect(run.status).toBe(1);
    expect(run.stderr.toString()).toMatch(/File too large|full/);
    expect(run.stderr.toString()).not.toContain('Traceback');
    expect(readFileSync(ledger, 'utf8')).toMatch(/^\{.*\}\n$/);
    expect(gpuBench(words, machine.env).code).toBe(0);
    expect(rowsOf(ledger).map(({ turn }) => turn)).toEqual([1, 2]);
  });

  test.each([
    ['gpu-bench', ['--fast']],
    ['gpu-bench', ['--device', 'tpu']],
    ['gpu-bench', ['--only', 'nothing']],
    ['gpu-bench', ['--slice-seconds', '-1']],
    ['gpu-bench', ['--cell-seconds', 'soon']],
    ['tune-kernels', ['--fast']],
    ['tune-kernels', ['--rounds', '0']],
  ])('%s %j: usage, and code 2', (name, words) => {
    const { code, out, told } = start(name, words);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(told).toMatch(new RegExp(`^usage: ${name}`));
    expect(told).toMatch(/error: /);
  });

  test('no GPU: says so, and what can be done without one', () => {
    if (process.env.COMPACT_TEST_DEVICE === 'cuda') return;
    expect(gpuBench(['--only', 'kernels'])).toMatchObject({
      code: 1,
      told: expect.stringMatching(/nvidia-smi.*--device cuda-emulated/),
    });
    expect(start('tune-kernels', []).told).toContain('the table stays as it is');
  });

  test('no Node: ours are left out, and nothing is written of them', () => {
    const machine = fakeMachine(newFile(), step);
    const ledger = newFile();
    const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable)']).stdout.toString().trim();
    const only = ['--ledger', ledger, '--only', cellNames[0]!];
    const path = machine.env.PATH!.split(':')[0]!;
    rmSync(join(path, 'node'));
    const run = spawnSync(python, [join(root, 'scripts', 'gpu-bench'), ...only], { env: { PATH: path } });
    expect(run.status).toBe(0);
    expect(run.stderr.toString()).toContain(`left out: ${cellNames[0]}: node or dist/ is missing`);
    expect(existsSync(ledger)).toBe(false);
  });
});

describeWithPython('scripts/tune-kernels', () => {
  const table = readFileSync(join(root, 'cuda', 'gemm', 'tuning.h'), 'utf8');
  const machine = fakeMachine(newFile(), step);
  // 100 microseconds a kernel, less what Phat made in the product saves and what narrow tiles save.
  const binary = (inKernel: number, narrow: number): string =>
    fakeBinary(
      newFile(),
      [
        'us=100',
        `[ "$COMPACT_CUDA_PROJECTION_IN_KERNEL" = 1 ] && us=$((us - ${inKernel}))`,
        `[ "$COMPACT_CUDA_NARROW_TILES" = 1 ] && us=$((us - ${narrow}))`,
        'echo "{\\"p50\\":$us}"',
      ].join('\n'),
    );

  test.each([
    ['the faster one', 10, 0, '{90, true, false, true}'],
    ['the fastest combination', 10, 5, '{90, true, true, true}'],
    ['one column without the other', -10, 5, '{90, false, true, true}'],
    ['what stands, where the gain is small', 1, 0, '{90, false, false, true}'],
  ])('takes %s', (_, inKernel, narrow, row) => {
    const words = ['--dry-run', '--rounds', '2', '--binary', binary(inKernel, narrow)];
    const { code, out } = start('tune-kernels', words, machine.env);
    expect({ code, last: out.trim().split('\n').at(-1) }).toEqual({
      code: 0,
      last: expect.stringContaining(row),
    });
    expect(readFileSync(join(root, 'cuda', 'gemm', 'tuning.h'), 'utf8')).toBe(table);
  });

  test('a kernel that fails: says which, and changes nothing', () => {
    const failing = fakeBinary(newFile(), "echo 'a fault' >&2; exit 1");
    const outcome = start('tune-kernels', ['--binary', failing], machine.env);
    expect(outcome).toMatchObject({ code: 1, told: 'y = x W: a fault; the table stays as it is\n' });
    expect(readFileSync(join(root, 'cuda', 'gemm', 'tuning.h'), 'utf8')).toBe(table);
  });
});
