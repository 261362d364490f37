import { compactError, nearestName } from '../errors.js';
import { addon } from './addon.js';
import { cpuModel } from './cpu.js';
import type { DeviceKind } from './types.js';

export interface Device {
  readonly kind: DeviceKind;
  readonly name: string;
  readonly index: number;
  /** Why `auto` chose it. */
  readonly reason?: string;
}

export interface DeviceReport {
  readonly kind: DeviceKind;
  readonly numDevices: number;
  /** Why there is none. */
  readonly reason?: string;
}

/** Every kind of device that this package knows, and whether this machine has one. */
export const devices = (): DeviceReport[] => addon().devices() as DeviceReport[];

/**
 * The device that a word stands for. Only `auto` chooses; a device that is named is there or is refused.
 * @throws ERR_COMPACT_ARGUMENT for another word, ERR_COMPACT_DEVICE_UNAVAILABLE
 */
export function findDevice(word: string): Device {
  const kinds = devices();
  if (word === 'auto') {
    const cuda = kinds.find(({ kind }) => kind === 'cuda')!;
    return cuda.numDevices > 0
      ? { kind: 'cuda', name: 'cuda:0', index: 0, reason: 'a CUDA device is there' }
      : { kind: 'cpu', name: cpuModel(), index: 0, reason: `no CUDA device: ${cuda.reason}` };
  }
  const [, kindWord, indexWord = '0'] = /^(.*?)(?::(\d{1,3}))?$/.exec(word)!;
  const found = kinds.find(({ kind }) => kind === kindWord);
  const index = Number(indexWord);
  if (found === undefined || (found.kind === 'cpu' && index > 0)) {
    const nearest = nearestName(word, ['auto', ...kinds.map(({ kind }) => kind)]);
    throw compactError('ERR_COMPACT_ARGUMENT', `there is no device ${JSON.stringify(word)}`, {
      op: 'device',
      expected: "'auto', 'cpu', 'cuda' or 'cuda:N'",
      received: JSON.stringify(word),
      remedy: nearest === undefined ? undefined : `Did you mean '${nearest}'?`,
    });
  }
  if (index >= found.numDevices)
    throw compactError('ERR_COMPACT_DEVICE_UNAVAILABLE', `the device ${word} is not available`, {
      op: 'device',
      device: word,
      expected: found.numDevices === 0 ? undefined : `an index below ${found.numDevices}`,
      received: found.reason,
      remedy: "Choose device: 'cpu', or 'auto' to take what is there (`compact-train inspect` lists it)",
    });
  return { kind: found.kind, name: found.kind === 'cpu' ? cpuModel() : `${found.kind}:${index}`, index };
}

/**
 * The name of the instruction set that an engine will use; `auto` is the best of this CPU.
 * @throws ERR_COMPACT_DEVICE_UNAVAILABLE when this CPU lacks it
 */
export function findInstructionSet(word: string): string {
  const { instructionSets, best } = addon().cpuFeatures();
  if (word === 'auto') return best;
  if (instructionSets.includes(word)) return word;
  throw compactError('ERR_COMPACT_DEVICE_UNAVAILABLE', `this CPU cannot run the instruction set ${word}`, {
    op: 'instructionSet',
    expected: `one of ${instructionSets.join(', ')}`,
    received: word,
  });
}
