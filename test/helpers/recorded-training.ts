/** What a training on an engine comes to, beside its recording of another framework (`RecordedTraining`). */
import { expect } from '@jest/globals';
import type { Plan } from '../../lib/compile/index.js';
import type { Model } from '../../lib/graph/index.js';
import type { Tensor } from '../reference/index.js';
import { asInFile, type Summary, summaryOf } from './model-fixtures.js';
import { largestDifference, type Machine, parameterNames, readValues } from './whole-model.js';

/**
 * Of every tensor of the model's file what recordings have of it.
 * @param suffix of the values that are read, e.g. '.gradient'
 */
export async function summaryIn(
  engine: Machine,
  plan: Plan,
  { model, parameters }: { readonly model: Model; readonly parameters: ReadonlyMap<string, Tensor> },
  suffix = '',
): Promise<Summary> {
  const found = new Map<string, Tensor>();
  for (const parameter of parameterNames(plan)) {
    const { shape } = parameters.get(parameter)!;
    found.set(parameter, { shape, data: await readValues(engine, plan, `${parameter}${suffix}`) });
  }
  return summaryOf(asInFile(model, found));
}

/**
 * Expects twice the error of the same program in float32, and the rounding of its storage, at most.
 * @returns the largest share of that which is used
 */
export function expectNear(found: Summary, right: Summary, naive: number): number {
  expect(Object.keys(found).sort()).toEqual(Object.keys(right).sort());
  const shares = Object.entries(right).map(([tensor, numbers]) => {
    const allowance = 2 * naive + 2 ** -22 * numbers[1];
    return [tensor, largestDifference(found[tensor]!, numbers) / allowance] as const;
  });
  expect(shares.filter(([, share]) => !(share < 1))).toEqual([]);
  return Math.max(...shares.map(([, share]) => share));
}

/** The bias of a key shifts all scores of a query alike: its gradient is the rounding of zero, which Adam makes a step. */
export const movedBy = (gradients: Summary, all: Summary): Summary =>
  Object.fromEntries(Object.entries(all).filter(([tensor]) => gradients[tensor]![1] > 1e-12));
