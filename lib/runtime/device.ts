import { compactError, type CompactError, nearestName } from '../errors.js';
import { checkValue, shown } from '../options.js';
import { addon } from './addon.js';
import { cpuModel } from './cpu.js';
import { cudaReport } from './cuda.js';
import { hasBuiltModule } from './modules.js';
import { deviceWord, engineTable } from './options.js';
import type { CudaKind, DeviceKind, DeviceProblem } from './types.js';

/** A device that can be used. */
export interface Device {
  readonly kind: DeviceKind;
  /** The CPU's model, or 'cuda:N'. */
  readonly name: string;
  /** Number among the devices of its kind. */
  readonly index: number;
  /** Why `auto` chose it. */
  readonly reason?: string;
}

/** A kind of device, and how many of it can be used here. */
export interface DeviceReport {
  readonly kind: DeviceKind;
  /** Devices that can be used. */
  readonly numDevices: number;
  /** Why there is none. */
  readonly reason?: string;
}

/** Every kind of device that this package knows, and whether this machine has one. */
export const devices = (): DeviceReport[] => [
  { kind: 'cpu', numDevices: 1 },
  ...cudaKinds().map((kind): DeviceReport => {
    const report = cudaReport({ kind });
    const numDevices = report.devices.filter(({ problem }) => problem === null).length;
    return report.problem === null ? { kind, numDevices } : { kind, numDevices, reason: report.problem };
  }),
];

const cudaKinds = (): CudaKind[] => (hasBuiltModule('cuda-emulated') ? ['cuda', 'cuda-emulated'] : ['cuda']);

/**
 * The device that a word stands for. Only `auto` chooses; a device that is named is there or is refused.
 * @throws ERR_COMPACT_ARGUMENT for another word, ERR_COMPACT_DEVICE_UNAVAILABLE with `details.reason`
 */
export function findDevice(word: string): Device {
  if (word === 'auto') return chooseDevice();
  const { kind, index } = parseDevice(word);
  return kind === 'cpu' ? cpuDevice() : findCuda(kind, index);
}

/**
 * The kind and number that a word other than `auto` stands for, whether or not this machine has the device.
 * @throws ERR_COMPACT_ARGUMENT
 */
export function parseDevice(word: string): { readonly kind: DeviceKind; readonly index: number } {
  checkValue(word, deviceWord, 'device', 'ERR_COMPACT_ARGUMENT');
  const kinds: readonly string[] = ['cpu', ...cudaKinds()];
  const [, kind = '', index] = /^(.*?)(?::(\d{1,3}))?$/s.exec(word) ?? [];
  if (kinds.includes(kind) && (kind !== 'cpu' || Number(index ?? 0) === 0))
    return { kind: kind as DeviceKind, index: Number(index ?? 0) };
  throw compactError('ERR_COMPACT_ARGUMENT', `there is no device ${shown(word)}`, {
    op: 'device',
    expected: "'auto', 'cpu', 'cuda' or 'cuda:N'",
    received: shown(word),
    remedy: deviceRemedy(word),
  });
}

function deviceRemedy(word: string): string | undefined {
  if (/gpu|nvidia|cuda/i.test(word))
    return "'cuda' is the first NVIDIA GPU, 'cuda:1' the second; 'auto' takes one where there is one";
  const nearest = nearestName(word, ['auto', 'cpu', 'cuda']);
  return nearest && `Did you mean '${nearest}'?`;
}

function chooseDevice(): Device {
  const { devices: found, problem } = cudaReport();
  const usable = found.find((device) => device.problem === null);
  if (usable === undefined)
    return { ...cpuDevice(), reason: `no CUDA device can be used: ${problem ?? 'none was found'}` };
  const { index, name, computeCapability } = usable;
  return {
    kind: 'cuda',
    name: `cuda:${index}`,
    index,
    reason: `${name}, compute capability ${computeCapability}`,
  };
}

const cpuDevice = (): Device => ({ kind: 'cpu', name: cpuModel(), index: 0 });

function findCuda(kind: CudaKind, index: number): Device {
  const { devices: found, problem, reason } = cudaReport({ kind });
  const name = `${kind}:${index}`;
  if (found.length === 0) throw unavailable(name, reason ?? 'no-device', problem ?? 'none was found');
  const device = found[index];
  if (device === undefined)
    throw unavailable(
      name,
      'no-such-device',
      found.length === 1 ? 'this machine has one' : `this machine has ${found.length}`,
    );
  if (device.problem !== null) throw unavailable(name, device.reason ?? 'device-fault', device.problem);
  return { kind, name, index };
}

/** ERR_COMPACT_DEVICE_UNAVAILABLE with what to do about it. */
export function unavailable(device: string, reason: DeviceProblem, problem: string): CompactError {
  return compactError('ERR_COMPACT_DEVICE_UNAVAILABLE', `the device ${device} cannot be used: ${problem}`, {
    op: 'device',
    device,
    remedy: remedies[reason],
    details: { reason },
  });
}

const otherwise = "or choose device: 'cpu'";
const remedies: Readonly<Record<DeviceProblem, string>> = {
  'module-absent':
    'Install the package compact-train-cuda-linux-x64 (Linux x64), or in a checkout run npm run build:native ' +
    `with nvcc 13 on the PATH (to plan without a GPU, with COMPACT_CUDA_ARCHS=all); ${otherwise}`,
  'module-broken': `Install compact-train-cuda-linux-x64 again, ${otherwise}`,
  'module-version': `Install compact-train-cuda-linux-x64 of the same version as compact-train, ${otherwise}`,
  'module-untrusted':
    'Remove compact-train and compact-train-cuda-linux-x64 and install both again from the registry; if it stays so, ' +
    `do not use the file, and report it; ${otherwise}`,
  'driver-absent': `Install the NVIDIA driver, 580 series or newer, ${otherwise}`,
  'driver-too-old': `Update the NVIDIA driver to the 580 series or newer, ${otherwise}`,
  'no-device': `See nvidia-smi and the variable CUDA_VISIBLE_DEVICES, ${otherwise}`,
  'no-such-device': '`compact-train inspect` lists the devices, counted from 0',
  'architecture-unsupported': `Use a GPU of compute capability 8.0 or newer, ${otherwise}`,
  'device-fault': `See nvidia-smi and the kernel log (Xid messages); a restart often helps; ${otherwise}`,
};

/**
 * The name of the instruction set that an engine will use. `auto` is the best of this CPU, or what the variable
 * COMPACT_INSTRUCTION_SET says: a run on one machine then computes as another, lesser one would.
 * @throws ERR_COMPACT_DEVICE_UNAVAILABLE when this CPU lacks it
 */
export function findInstructionSet(word: string): string {
  checkValue(word, engineTable.instructionSet, 'instructionSet', 'ERR_COMPACT_ARGUMENT');
  const { instructionSets, best } = addon().cpuFeatures();
  const isAuto = word === 'auto';
  const wanted = isAuto ? process.env['COMPACT_INSTRUCTION_SET'] || best : word;
  if (instructionSets.includes(wanted)) return wanted;
  throw compactError(
    'ERR_COMPACT_DEVICE_UNAVAILABLE',
    `this CPU cannot run the instruction set ${shown(wanted)}`,
    {
      op: isAuto ? 'COMPACT_INSTRUCTION_SET' : 'instructionSet',
      expected: `one of ${instructionSets.join(', ')}`,
      received: shown(wanted),
    },
  );
}
