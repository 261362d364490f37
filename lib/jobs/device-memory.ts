import type { JobPlan } from './job.js';

/** A device for jobs. */
export interface JobDevice {
  /** Kind and number: 'cpu', 'cuda:0'. */
  readonly name: string;
  /** What all jobs may take of it at a time: what was free of it when it was measured. */
  readonly memoryBytes: number;
  /** What jobs could take of it if no other program took anything. Default: `memoryBytes`. */
  readonly capacityBytes?: number | undefined;
}

/** Whether a device is what a plan calls by a name: 'cuda' is any GPU. */
export const isNamed = ({ name }: JobDevice, wanted: string): boolean =>
  name === wanted || name.startsWith(`${wanted}:`);

/** A device, and how much of it jobs take now. */
export interface DeviceStatus extends JobDevice {
  readonly capacityBytes: number;
  readonly takenBytes: number;
}

/**
 * Whether a plan fits on a device now, when other jobs have given something back ('later'), when other programs have
 * ('crowded'), or never on any of these devices.
 */
export type Fit = 'now' | 'later' | 'crowded' | 'never';

/** What a plan takes of its device. */
export const bytesOf = ({ plannedBytes, overheadBytes }: JobPlan): number => plannedBytes + overheadBytes;

const capacityOf = ({ memoryBytes, capacityBytes = memoryBytes }: JobDevice): number => capacityBytes;

/** Memory of the devices for jobs, and who has how much of it. */
export class DeviceMemory {
  #devices: readonly JobDevice[];
  readonly #takenBytes = new Map<string, number>();

  constructor(devices: readonly JobDevice[]) {
    this.#devices = devices;
  }

  /** Takes devices as they were measured again; what jobs have of them stays theirs. */
  update(devices: readonly JobDevice[]): void {
    this.#devices = devices;
  }

  /** The device on which a plan fits beside what is there: of several the one with most room. */
  find(plan: JobPlan): JobDevice | undefined {
    const roomOf = (device: JobDevice): number => device.memoryBytes - this.#takenOf(device);
    const [roomiest] = this.#devices
      .filter((device) => isNamed(device, plan.device))
      .toSorted((a, b) => roomOf(b) - roomOf(a));
    return roomiest !== undefined && bytesOf(plan) <= roomOf(roomiest) ? roomiest : undefined;
  }

  get status(): readonly DeviceStatus[] {
    return this.#devices.map((device) => ({
      ...device,
      capacityBytes: capacityOf(device),
      takenBytes: this.#takenOf(device),
    }));
  }

  fitOf(plan: JobPlan): Fit {
    if (this.find(plan) !== undefined) return 'now';
    const devices = this.#devices.filter((device) => isNamed(device, plan.device));
    if (devices.some(({ memoryBytes }) => bytesOf(plan) <= memoryBytes)) return 'later';
    return devices.some((device) => bytesOf(plan) <= capacityOf(device)) ? 'crowded' : 'never';
  }

  /** Takes what a plan needs of a device, until that is disposed of. */
  take(device: JobDevice, plan: JobPlan): Disposable {
    const take = (bytes: number): void =>
      void this.#takenBytes.set(device.name, this.#takenOf(device) + bytes);
    take(bytesOf(plan));
    return { [Symbol.dispose]: () => take(-bytesOf(plan)) };
  }

  #takenOf({ name }: JobDevice): number {
    return this.#takenBytes.get(name) ?? 0;
  }
}
