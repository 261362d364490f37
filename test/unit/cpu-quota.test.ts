import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cpuQuota } from '../../lib/runtime/cpu-quota.js';
import { physicalCores } from '../../lib/runtime/cpu.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'compact-quota-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A file system with these files. */
function quotaOf(files: Readonly<Record<string, string>>): number {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), `${text}\n`);
  }
  return cpuQuota(root);
}

const unified = (mountRoot = '/'): string =>
  `31 23 0:28 ${mountRoot} /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate`;

describe('cpuQuota', () => {
  test.each([
    ['nothing of the kind', {}, Infinity],
    ['no limit', { 'sys/fs/cgroup/cpu.max': 'max 100000' }, Infinity],
    ['two CPUs', { 'sys/fs/cgroup/cpu.max': '200000 100000' }, 2],
    ['half a CPU', { 'sys/fs/cgroup/cpu.max': '50000 100000' }, 0.5],
    ['a file of another kind', { 'sys/fs/cgroup/cpu.max': 'what' }, Infinity],
  ])('version 2, in a container: %s', (_, files, expected) => {
    const system = { 'proc/self/cgroup': '0::/', 'proc/self/mountinfo': unified() };
    expect(quotaOf({ ...system, ...files })).toBe(expected);
  });

  test('version 2, groups in groups: the tightest counts, wherever it stands', () => {
    const system = { 'proc/self/cgroup': '0::/a/b/c', 'proc/self/mountinfo': unified() };
    const folder = 'sys/fs/cgroup';
    expect(
      quotaOf({
        ...system,
        [`${folder}/a/cpu.max`]: '300000 100000',
        [`${folder}/a/b/cpu.max`]: '800000 100000',
        [`${folder}/a/b/c/cpu.max`]: 'max 100000',
        [`${folder}/other/cpu.max`]: '100000 100000',
      }),
    ).toBe(3);
    expect(quotaOf({ [`${folder}/a/b/c/cpu.max`]: '75000 50000' })).toBe(1.5);
  });

  test('a container that sees the name its group has outside', () => {
    const files = { 'proc/self/cgroup': '0::/docker/abc', 'sys/fs/cgroup/cpu.max': '400000 100000' };
    expect(quotaOf({ ...files, 'proc/self/mountinfo': unified('/docker/abc') })).toBe(4);
    expect(quotaOf({ ...files, 'proc/self/mountinfo': unified('/docker/xyz') })).toBe(4);
  });

  test('version 1, with other controllers and an empty version 2 beside it', () => {
    const mount = (name: string, type: string): string =>
      `32 31 0:29 / /sys/fs/cgroup/${name} rw,relatime - ${type} cgroup rw,${name}`;
    const system = {
      'proc/self/cgroup': '9:memory:/job\n2:cpu,cpuacct:/job/step\n1:cpuset:/job\n0::/',
      'proc/self/mountinfo': [
        mount('memory', 'cgroup'),
        mount('cpu,cpuacct', 'cgroup'),
        mount('cpuset', 'cgroup'),
        mount('unified', 'cgroup2'),
      ].join('\n'),
    };
    const folder = 'sys/fs/cgroup/cpu,cpuacct/job';
    expect(
      quotaOf({
        ...system,
        [`${folder}/cpu.cfs_quota_us`]: '250000',
        [`${folder}/cpu.cfs_period_us`]: '50000',
        [`${folder}/step/cpu.cfs_quota_us`]: '-1',
        [`${folder}/step/cpu.cfs_period_us`]: '100000',
      }),
    ).toBe(5);
  });
});

test('threads: at least one, no more than the quota, which is rounded down', () => {
  expect(physicalCores(0.3)).toBe(1);
  expect(physicalCores(1.9)).toBe(1);
  expect(physicalCores(1e6)).toBe(physicalCores(Infinity));
  expect(physicalCores()).toBeLessThanOrEqual(physicalCores(Infinity));
});
