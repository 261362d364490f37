/** Numbers of docs/methods that a plan can be asked for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from '../../lib/compile/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import type { Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from './plan-target.js';

/** MiB of states of the 60M model in bf16: as a page of a method says, and as the plan has them. */
export function statesOf60M(
  page: string,
  method: Method,
): { readonly said: string; readonly planned: string } {
  const text = readFileSync(join(__dirname, '../../docs/methods', `${page}.md`), 'utf8');
  const said = /^\| states, MiB \| ([\d.]+) \|/m.exec(text)![1]!;
  const plan = compile({
    model: llama('llama-60m'),
    method,
    target: planTarget,
    batchSize: 1,
    sequenceLength: 2048,
    dtype: 'bf16',
    gradientDtype: 'bf16',
    recompute: 'layer',
    entries: ['train'],
  });
  return { said, planned: (memoryReport(plan).byKind.optimizerState / 2 ** 20).toFixed(1) };
}
