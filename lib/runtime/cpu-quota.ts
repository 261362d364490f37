import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Where a hierarchy of control groups is mounted, and this process's place in it. */
interface Hierarchy {
  readonly isUnified: boolean;
  /** The part of the hierarchy that the mount shows. */
  readonly mountRoot: string;
  readonly mountPoint: string;
  readonly group: string;
}

/**
 * How many CPUs' worth of time this process may use, by the quotas of its control groups on Linux: of its own group and
 * of all above it, in version 2 (`cpu.max`) and version 1 (`cpu.cfs_quota_us`). Infinity where there is none.
 * @param root of the file system, for tests
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
 * @see https://docs.kernel.org/scheduler/sched-bwc.html
 */
export function cpuQuota(root = '/'): number {
  return Math.min(Infinity, ...hierarchies(root).flatMap((hierarchy) => quotas(root, hierarchy)));
}

function hierarchies(root: string): Hierarchy[] {
  const groups = linesOf(join(root, 'proc/self/cgroup')).map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  return linesOf(join(root, 'proc/self/mountinfo')).flatMap((line) => {
    const [mount = '', filesystem = ''] = line.split(' - ');
    const [, , , mountRoot, mountPoint] = mount.split(' ');
    const [type, , options = ''] = filesystem.split(' ');
    const isUnified = type === 'cgroup2';
    const isOfCpu = isUnified || (type === 'cgroup' && options.split(',').includes('cpu'));
    const group = groups.find((entry) => isOfGroup(entry?.[1], isUnified))?.[2];
    return !isOfCpu || mountRoot === undefined || mountPoint === undefined || group === undefined
      ? []
      : [{ isUnified, mountRoot, mountPoint, group }];
  });
}

/** Version 2 names no controllers. */
const isOfGroup = (controllers: string | undefined, isUnified: boolean): boolean =>
  isUnified ? controllers === '' : controllers?.split(',').includes('cpu') === true;

/** From the group of this process up to the top of what is mounted. */
function quotas(root: string, { isUnified, mountRoot, mountPoint, group }: Hierarchy): number[] {
  const top = join(root, mountPoint);
  const below = relative(mountRoot, group);
  // A container may see the name that its group has outside: it is mounted as the top then.
  let folder = below.startsWith('..') ? top : join(top, below);
  const found = [quotaOf(folder, isUnified)];
  while (folder !== top) {
    folder = dirname(folder);
    found.push(quotaOf(folder, isUnified));
  }
  return found;
}

function quotaOf(folder: string, isUnified: boolean): number {
  const read = (name: string): string => linesOf(join(folder, name))[0] ?? '';
  const [quota, period] = isUnified
    ? read('cpu.max').split(' ')
    : [read('cpu.cfs_quota_us'), read('cpu.cfs_period_us')];
  // 'max', -1 and files that are not there mean no limit.
  const cpus = Number(quota) / Number(period);
  return cpus > 0 ? cpus : Infinity;
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
