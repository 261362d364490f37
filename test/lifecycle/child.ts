/** Runs a script with the built package in a process of its own. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { largePlan, smallPlan } from './plans.js';

const distribution = join(__dirname, '..', '..', 'dist');

export interface ChildResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What every script may use: the runtime, the plans, and a worker that runs another function. */
const prelude = `
  const { Engine } = require(process.env.TEST_DISTRIBUTION + '/runtime/index.js');
  const { small, busy, large } = JSON.parse(process.env.TEST_PLANS);
  const { Worker } = require('node:worker_threads');
  const open = async (plan) => {
    const engine = await Engine.open({ device: 'cpu', threads: 2 });
    await engine.load(plan);
    return engine;
  };
  const x = Float32Array.of(1, 2, 3, 4, 5, 6);
  const inputs = { x };
  const step = async (engine) =>
    Array.from((await engine.run('step', { inputs, scalars: { learningRate: 1 } })).outputs.sum);
  const codes = async (promises) =>
    (await Promise.allSettled(promises)).map(({ status, reason }) => reason?.code ?? status);
  const report = (value) => console.log(JSON.stringify(value));
`;

/** `body` is the inside of an async function; what it throws goes to stderr and makes the exit code 1. */
export const script = (body: string): string => `${prelude};(async () => {${body}})().catch((error) => {
  console.error(error);
  process.exit(1);
});`;

export function runChild(
  body: string,
  {
    flags = [],
    root = distribution,
    env = {},
  }: { flags?: readonly string[]; root?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<ChildResult> {
  const plans = { small: smallPlan(), busy: largePlan(2 ** 24, 500), large: largePlan(2 ** 23, 1) };
  const child = spawn(process.execPath, [...flags, '--input-type=commonjs', '-'], {
    env: { ...process.env, ...env, TEST_DISTRIBUTION: root, TEST_PLANS: JSON.stringify(plans) },
    timeout: 240_000, // only ends one that hangs, on however busy a machine
  });
  child.stdin.end(script(body));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }));
  });
}
