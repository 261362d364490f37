import { createRequire } from 'node:module';
import { join } from 'node:path';

interface Instruction {
  readonly address: number;
  readonly text: string;
}

const { countHotPath } = createRequire(__filename)(
  join('..', '..', 'scripts', 'cuda-kernels', 'hot-path.cjs'),
) as {
  countHotPath: (instructions: readonly Instruction[]) => Readonly<Record<string, number | boolean>>;
};

/** Lines of machine code, 16 bytes each; `@name` before a line is its label, `->name` a target. */
function assemble(listing: string): Instruction[] {
  const lines = listing.trim().split('\n');
  const labels = new Map<string, number>();
  const texts = lines.map((line, i) => {
    const [, label, text = ''] = /^\s*(?:(\w+):)?\s*(.*)$/.exec(line) ?? [];
    if (label !== undefined) labels.set(label, 16 * i);
    return text;
  });
  return texts.map((text, i) => ({
    address: 16 * i,
    text: text.replace(/->(\w+)/, (_, name: string) => `0x${(labels.get(name) ?? -1).toString(16)}`),
  }));
}

describe('instructions on the usual way through a kernel', () => {
  it('are those of the loop with most wide instructions, without the way of rows that are not aligned', () => {
    const code = assemble(`
      S2R R0, SR_TID.X
      spin: ISETP.NE P0, PT, R0, RZ, PT
      @P0 BRA ->spin
      loop: ISETP.NE P1, PT, R2, RZ, PT
      @P1 BRA ->slow
      LDG.E.128 R4, desc[UR4][R2.64]
      back: FADD R4, R4, R5
      @!P2 BRA ->loop
      EXIT
      slow: LDG.E.U16 R4, desc[UR4][R2.64]
      BRA ->back
      BRA ->slow`);
    expect(countHotPath(code)).toMatchObject({ isLoop: true, all: 5, global: 1, 'tensor core': 0 });
  });

  it('are those of the inner of two loops, and of a loop in a loop only where it does the work', () => {
    const code = assemble(`
      outer: LDC R1, c[0x0][0x28]
      inner: LDSM.16.M88.4 R4, [R2]
      wait: SYNCS.PHASECHK.TRANS64.TRYWAIT P0, [R3], R5
      @!P0 BRA ->wait
      HMMA.16816.F32.BF16 R8, R4, R6, R8
      HMMA.16816.F32.BF16 R12, R4, R6, R12
      BRA.U UP0, ->inner
      STG.E.128 desc[UR4][R2.64], R8
      @P3 BRA ->outer
      EXIT`);
    expect(countHotPath(code)).toMatchObject({ isLoop: true, all: 6, 'tensor core': 2, LDSM: 1, global: 0 });
  });

  it('are those from beginning to end, without subroutines, where no loop does the work', () => {
    const code = assemble(`
      @P0 EXIT
      @P1 BRA ->narrow
      LDG.E.128 R4, desc[UR4][R2.64]
      LDG.E.128 R8, desc[UR4][R2.64+0x10]
      NOP
      @!P2 BRA ->usual
      CALL.REL.NOINC 0x4000
      BRA ->done
      usual: MUFU.RCP R8, R9
      FFMA R8, R9, R8, R7
      FFMA R8, R9, R8, R6
      BRA ->done
      narrow: LDG.E R4, desc[UR4][R2.64]
      done: STG.E.128 desc[UR4][R2.64], R4
      EXIT`);
    expect(countHotPath(code)).toMatchObject({ isLoop: false, all: 11, global: 3 });
  });
});
