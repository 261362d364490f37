import { appendToLedger, type LedgerCase } from '../../lib/cli/bench/ledger.js';
import { benchDevice } from '../../lib/cli/bench/device.js';

/** How far a recorded model is from what transformers compute, in one of the comparisons of the tests. */
export interface ModelParity {
  /** Of test/fixtures/models. */
  readonly fixture: string;
  readonly device: 'cpu' | 'cuda' | 'cuda-emulated';
  readonly compared: ModelComparison;
  readonly value: number;
}

export const modelComparisons = ['logits', 'bf16 logits', 'gradients', 'three steps'] as const;
export type ModelComparison = (typeof modelComparisons)[number];

const units: Readonly<Record<ModelComparison, string>> = {
  logits: 'of the largest logit',
  'bf16 logits': "of transformers' own error in bf16",
  gradients: 'of the allowance',
  'three steps': 'of the allowance',
};

/** The same as a row of a ledger. */
export interface ModelParityRow extends LedgerCase {
  readonly backend: ModelParity['device'];
  readonly value: number;
}

export function addModelParity(ledger: string, found: readonly ModelParity[]): void {
  const rows = found.map(({ fixture, device, compared, value }): ModelParityRow => ({
    case: 'model parity',
    provider: 'compact-train',
    metric: compared,
    unit: units[compared],
    shape: fixture,
    dtype: compared === 'bf16 logits' ? 'bf16' : 'f32',
    backend: device,
    value,
  }));
  appendToLedger(ledger, rows, benchDevice('cpu', 2));
}
