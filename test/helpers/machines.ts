/**
 * What the tests of ops and of whole models run on: every instruction set of the CPU, and the CUDA backend. Without a
 * GPU that is its emulation; with COMPACT_TEST_DEVICE=cuda (`npm run test:gpu`) it is the GPU, and nothing else.
 */
import { isCompactError } from '../../lib/errors.js';
import type { Target } from '../../lib/compile/index.js';
import { cpuTarget, cudaTarget, Engine } from '../../lib/runtime/index.js';

export const instructionSets = ['scalar', 'avx2', 'avx512', 'avx512-bf16', 'amx-bf16'] as const;
export type InstructionSet = (typeof instructionSets)[number];

export const isOnGpu = process.env.COMPACT_TEST_DEVICE === 'cuda';
export const cudaDevice = isOnGpu ? 'cuda' : 'cuda-emulated';
export type MachineName = InstructionSet | typeof cudaDevice;

export const machines: readonly MachineName[] = isOnGpu ? [cudaDevice] : [...instructionSets, cudaDevice];

export const isCuda = (machine: MachineName): machine is typeof cudaDevice => machine === cudaDevice;

/** Whether its kernels round what stands between two products to bf16, for units that multiply bf16 matrices. */
export const hasMatrixUnits = (machine: MachineName): boolean => isCuda(machine) || machine === 'amx-bf16';

export const isEmulated = (machine: MachineName): boolean => machine === 'cuda-emulated';

/** Only where the emulation cannot be built may it be absent. */
const mayBeAbsent = (machine: MachineName): boolean =>
  isCuda(machine)
    ? !isOnGpu && !(process.platform === 'linux' && process.arch === 'x64')
    : machine !== 'scalar';

/** Targets of a plan that a machine can run with any of these numbers of threads. */
export const targetsOf = (machine: MachineName, threadCounts: readonly number[]): Target[] =>
  isCuda(machine) ? [cudaTarget(cudaDevice)] : threadCounts.map((threads) => cpuTarget({ threads }));

/** Runs `body` with an engine; tells why when this computer has no such machine. */
export async function withEngine(
  machine: MachineName,
  threads: number,
  body: (engine: Engine) => Promise<void>,
): Promise<void> {
  let engine: Engine;
  try {
    engine = await Engine.open(
      isCuda(machine) ? { device: machine } : { device: 'cpu', threads, instructionSet: machine },
    );
  } catch (error) {
    if (!isCompactError(error) || !mayBeAbsent(machine)) throw error;
    console.log(`skipped: ${error.message}`);
    return;
  }
  try {
    await body(engine);
  } finally {
    await engine.close();
  }
}
