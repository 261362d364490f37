import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const distribution = join(__dirname, '..', '..', 'dist');

/**
 * A training run in a process of its own, from the built package: the tiny run with some options changed, which
 * prints one JSON object a line: { step } at the start, then { checkpoint } for each one, then { result } or { error }.
 * Where `setUp` is given, it runs first, and `await started(trainer)` when the trainer is there.
 */
const script = (setUp: string): string => `
  let started = () => {};
  const { Trainer } = require(process.env.TEST_DISTRIBUTION + '/train/index.js');
  const { compact } = require(process.env.TEST_DISTRIBUTION + '/methods/index.js');
  const { llama } = require(process.env.TEST_DISTRIBUTION + '/models/index.js');
  const { model, method, ...options } = JSON.parse(process.env.TEST_RUN);
  const say = (value) => console.log(JSON.stringify(value));
  (async () => {
    ${setUp}
    const trainer = await Trainer.create({ model: llama(model), method: compact(method), ...options });
    say({ step: trainer.step });
    await started(trainer);
    trainer.on('checkpoint', ({ step }) => say({ checkpoint: step }));
    try {
      say({ result: await trainer.run() });
    } finally {
      await trainer.close();
    }
  })().catch(({ code, message }) => say({ error: { code, message } }));
`;

export interface TrainerChild {
  readonly process: ChildProcessWithoutNullStreams;
  /** Every line so far. */
  readonly lines: Readonly<Record<string, unknown>>[];
  /** Settles with the next line of a kind, or when the process has ended without one. */
  next(kind: string): Promise<unknown>;
  readonly ended: Promise<{ readonly exitCode: number | null; readonly stderr: string }>;
}

/**
 * @param setUp JavaScript that runs in the process before the run
 * @param wrap a command that ends by starting Node, e.g. one that sets limits first; `$0` and its arguments follow
 */
export function startTrainerChild(
  run: Readonly<Record<string, unknown>>,
  { wrap = [], setUp = '' }: { readonly wrap?: readonly string[]; readonly setUp?: string } = {},
): TrainerChild {
  const [program, ...args] = [...wrap, process.execPath, '-'];
  const child = spawn(program, args, {
    env: { ...process.env, TEST_DISTRIBUTION: distribution, TEST_RUN: JSON.stringify(run) },
  });
  child.stdin.on('error', () => {}).end(script(setUp));
  const lines: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  let hasEnded = false;
  const wake = (): void => {
    for (const check of waiting) check();
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
    wake();
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<{ exitCode: number | null; stderr: string }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      hasEnded = true;
      wake();
      resolve({ exitCode, stderr });
    });
  });
  return {
    process: child,
    lines,
    ended,
    next: (kind) => {
      const from = lines.length;
      return new Promise((resolve) => {
        const check = (): void => {
          const found = lines.slice(from).find((line) => kind in line);
          if (found === undefined && !hasEnded) return;
          waiting.delete(check);
          resolve(found?.[kind]);
        };
        waiting.add(check);
        check();
      });
    },
  };
}
