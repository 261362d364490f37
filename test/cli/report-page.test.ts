import { describe, expect, test } from '@jest/globals';
import { Script } from 'node:vm';
import { chartStyle, palettes } from '../../lib/cli/bench/charts/palette.js';
import { reportPage } from '../../lib/cli/bench/memory/page/page.js';
import { pageScript } from '../../lib/cli/bench/page/script.js';
import { pageStyle } from '../../lib/cli/bench/page/style.js';
import { fixtureReport } from './fixture-report.js';

const report = fixtureReport();
const page = reportPage(report);
const ours = report.planned.find(({ accounting }) => accounting === 'ours')!;

const matches = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((found) => found[1]!);
const words = (html: string): string =>
  html
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(bytes >= 100 * 2 ** 30 ? 1 : 2);
const wholePercent = (a: number, b: number): number => Math.round((100 * a) / b);

/** Cells of the rows of a table's body: markup. */
const bodyRows = (table: string): string[][] =>
  matches(table.split('<tbody>')[1]!, /<tr>(.*?)<\/tr>/gs).map((row) =>
    matches(row, /(<t[hd].*?)<\/t[hd]>/gs),
  );

const tables = matches(page, /(<table.*?<\/table>)/gs);
const barTable = (model: string): string =>
  tables.find((table) => table.includes('class="bars"') && table.includes(`${model}: planned peak`))!;

describe('the page', () => {
  test('is one file without requests', () => {
    expect(page).not.toMatch(/<(link|img|iframe)|src=|@import|url\(/);
    expect(page.match(/https?:\/\/(?!www\.w3\.org)/)).toBeNull();
    expect(page.slice(0, page.indexOf('<script>'))).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('escapes text that is not its own', () => {
    expect(page).toContain('&lt;the&gt; state of the Union');
    expect(page).not.toContain('<the>');
    expect(page).toContain('Example CPU &lt;8&gt; &amp; more');
  });

  test('has a script that parses, and data for it of each timeline', () => {
    expect(() => new Script(pageScript)).not.toThrow();
    const data = [...page.matchAll(/<script type="application\/json" id="(step[^"]+)">(.*?)<\/script>/g)];
    expect(data).toHaveLength(report.timelines.length);
    for (const [index, [, id, json]] of data.entries()) {
      const { blocks } = JSON.parse(json!) as { blocks: unknown[][] };
      const expected = report.timelines[index]!.blocks;
      expect(blocks.map((block) => [block[0], ...block.slice(2)])).toEqual(
        expected.map(({ name, bytes, offset, first, last, madeBy, lastReadBy }) => [
          name, bytes, offset, first, last, madeBy, lastReadBy,
        ]), // prettier-ignore
      );
      expect(page).toContain(`data-timeline="${id}"`);
      expect(page).toContain(`data-map="${id}"`);
    }
  });
});

describe('who cannot see the page', () => {
  test('gets a name of every drawing', () => {
    const ids = matches(page, / id="([^"]+)"/g);
    expect(new Set(ids).size).toBe(ids.length);
    const drawings = matches(page, /<svg ([^>]*)>/g);
    for (const attributes of drawings.filter((found) => !found.includes('aria-hidden="true"'))) {
      expect(attributes).toContain('role="img"');
      const names = /aria-labelledby="([^"]+)"/.exec(attributes)![1]!.split(' ');
      for (const name of names) expect(page).toMatch(new RegExp(`<(title|desc) id="${name}">[^<]{5,}`));
    }
    const plots = matches(page, /<div class="plot-area"[^>]*>(<svg.*?<\/svg>)/gs);
    expect(plots).toHaveLength(2 * report.timelines.length + 1);
    for (const plot of plots) expect(plot).toMatch(/<title [^>]*>[^<]+<\/title><desc [^>]*>[^<]+<\/desc>/);
  });

  test('reaches every bar with the keyboard and hears what it is made of', () => {
    const bars = matches(page, /<div class="bar".*?(<svg .*?<\/title>)/gs);
    expect(bars).toHaveLength(ours.models.flatMap(({ peaks }) => peaks).length);
    for (const bar of bars) expect(bar).toMatch(/tabindex="0".*: weights [\d.]+ [GM]iB, /);
  });

  test('gets a caption of every table, and heads of its columns and rows', () => {
    expect(tables).toHaveLength(ours.models.length + 5);
    for (const table of tables) {
      expect(table).toMatch(/<caption><span>[^<]{10,}<\/span><\/caption>/);
      const [head] = matches(table, /<thead>(.*?)<\/thead>/gs);
      const columns = matches(head!, /<th scope="col">(.*?)<\/th>/g);
      expect(columns.length).toBe(head!.split('<th').length - 1);
      for (const row of bodyRows(table)) {
        expect(row).toHaveLength(columns.length);
        expect(row.map((cell) => cell.slice(0, 15))).toEqual([
          '<th scope="row"',
          ...row.slice(1).map(() => expect.stringMatching(/^<td/)),
        ]);
      }
    }
  });
});

describe('what is read', () => {
  test('has at least 11 pixels, on the page and in pictures', () => {
    for (const style of [pageStyle, chartStyle]) {
      expect(style).not.toMatch(/font(-size)?:[^;]*\d(r?em|%|pt|vw)/);
      const sizes = matches(style, /font(?:-size)?: (\d+)px/g).map(Number);
      expect(sizes.length).toBe(style.match(/font(-size)?: (?!inherit)/g)!.length);
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(11);
    }
    // Drawings of the page stretch with the screen, so they hold no text.
    expect(page).not.toContain('<text');
  });

  // WCAG 2.1: relative luminance and contrast.
  const luminance = (colour: string): number => {
    const [r, g, b] = matches(colour, /([0-9a-f]{2})/g).map((hex) => {
      const share = parseInt(hex, 16) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const contrast = (a: string, b: string): number => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high! + 0.05) / (low! + 0.05);
  };

  test.each(Object.entries(palettes))('has the contrast of WCAG AA: %s', (_, palette) => {
    expect(contrast('#000000', '#ffffff')).toBeCloseTo(21, 6);
    const { ink, soft, good, ground, panel } = palette;
    for (const text of [ink, soft, good])
      for (const behind of [ground, panel]) expect(contrast(text, behind)).toBeGreaterThanOrEqual(4.5);
    for (const [name, colour] of Object.entries(palette)) {
      if (name.startsWith('series')) expect(contrast(colour, ground)).toBeGreaterThanOrEqual(4.5);
      if (page.includes(`fill="var(--${name})"`)) expect(contrast(colour, ground)).toBeGreaterThanOrEqual(3);
      expect(pageStyle).toContain(`--${name}: ${colour};`);
    }
  });

  test('is never dark on paper', () => {
    expect(pageStyle.match(/@media[^{]*dark[^{]*/g)).toEqual([
      '@media screen and (prefers-color-scheme: dark) ',
    ]);
    expect(pageStyle).toContain('@media print');
  });
});

describe('planned peaks', () => {
  test.each(ours.models)(
    'of $model: the largest first, with the numbers of the report',
    ({ model, peaks }) => {
      const table = barTable(model);
      expect(table).toContain('; the largest first</span></caption>');
      const [plain, selective, checkpointed] = peaks;
      const expected = peaks
        .toSorted((a, b) => b.peakBytes - a.peakBytes)
        .map(({ variant, peakBytes }) => [
          variant,
          `${gib(peakBytes)} GiB`,
          ...[plain, selective, checkpointed].map((base) => `${wholePercent(peakBytes, base!.peakBytes)} %`),
        ]);
      const found = bodyRows(table).map(([name, , ...numbers]) => [
        words(name!.replace(/<small.*?<\/small>/g, '')),
        ...numbers.map(words),
      ]);
      expect(found).toEqual(expected);
    },
  );

  test.each(ours.models)('of $model: baselines and the smallest are marked', ({ model, peaks }) => {
    const marks = bodyRows(barTable(model)).flatMap(([name]) =>
      matches(name!, /<small class="tag[^>]*>(.*?)<\/small>/g).map((mark): [string, string] => [
        mark,
        words(name!.replace(/<small.*?<\/small>/g, '')),
      ]),
    );
    expect(marks).toHaveLength(4);
    expect(Object.fromEntries(marks)).toEqual({
      'baseline: plain': 'dense',
      'baseline: selective': 'dense, cheap recompute',
      'baseline: checkpointed': 'dense, layer checkpointing',
      smallest: peaks.reduce((a, b) => (a.peakBytes < b.peakBytes ? a : b)).variant,
    });
  });

  test('of all models stand in one table: every number, every share, the smallest of each marked', () => {
    const table = tables.find((found) => found.includes('Planned peaks of every model'))!;
    const rows = bodyRows(table);
    for (const [column, { peaks }] of ours.models.entries()) {
      const cells = rows.map((row) => row[column + 1]!);
      const [plain, selective, checkpointed] = peaks;
      expect(cells.map(words)).toEqual(
        peaks.map(({ peakBytes }) => {
          const shares = [plain, selective, checkpointed].map((base) =>
            wholePercent(peakBytes, base!.peakBytes),
          );
          return `${gib(peakBytes)} ${shares.join(' · ')} %`;
        }),
      );
      const least = Math.min(...peaks.map(({ peakBytes }) => peakBytes));
      expect(cells.map((cell) => cell.includes('class="best"'))).toEqual(
        peaks.map(({ peakBytes }) => peakBytes === least),
      );
    }
  });

  test('head the page in cards that say what of what', () => {
    const cards = matches(page, /<div class="card">(.*?)<\/div>/g).map(words);
    const { peaks } = ours.models.find(({ model }) => model === 'llama-350m')!;
    const smallest = peaks.at(-1)!;
    const name = 'compact n/4, lazy, layer checkpointing';
    expect(cards[0]).toBe(
      `the smallest planned peak of llama-350m, 32,768 tokens a step: ${name} ${gib(smallest.peakBytes)} GiB`,
    );
    const baselines = ['plain', 'selective', 'checkpointed'];
    expect(cards.slice(1, 4)).toEqual(
      peaks.slice(0, 3).map(({ variant, peakBytes }, index) => {
        const share = (100 * smallest.peakBytes) / peakBytes;
        return `of ${variant} (the ${baselines[index]} baseline, ${gib(peakBytes)} GiB): llama-350m with ${name} ${share.toFixed(1)} %`;
      }),
    );
    const [dense, compact] = report.demo.runs;
    expect(cards[4]).toContain(`against dense, ${dense!.finalLoss.toFixed(3)}`);
    expect(cards[4]).toContain(`of compact n/4, lazy, ${compact!.finalLoss.toFixed(3)}`);
  });
});

test('the loss chart has a title, the last losses, and says where its axis ends', () => {
  const figure = matches(page, /(<figure>.*?<\/figure>)/gs).find((found) => found.includes('data-loss'))!;
  expect(figure).toContain('<b>Loss while training</b>, nats per token');
  for (const { variant, finalLoss } of report.demo.runs)
    expect(words(figure)).toContain(`${variant} ${finalLoss.toFixed(3)}`);
  expect(figure).toMatch(/The vertical axis runs from [\d.]+ to [\d.]+, not from 0; the first \d+ steps/);
  const losses = JSON.parse(/id="loss-data">(.*?)<\/script>/.exec(figure)![1]!) as {
    steps: number[];
    runs: { heldOut: Record<string, number> }[];
  };
  expect(losses.steps).toEqual(report.demo.runs[0]!.losses.map(({ step }) => step));
  expect(losses.runs.map(({ heldOut }) => Object.values(heldOut))).toEqual(
    report.demo.runs.map(({ evaluations }) => evaluations.map(({ loss }) => loss)),
  );
});

test('what the runs reached stands in a table; the baseline, the lowest loss and the least memory are marked', () => {
  const { runs } = report.demo;
  const [dense, compact] = runs;
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const rows = bodyRows(tables.find((table) => table.includes('What each training run reached'))!);
  const common = (run: (typeof runs)[number]) => [
    `${run.learningRate}`,
    `${run.otherLearningRate}`,
    expect.stringContaining(run.finalLoss.toFixed(3)),
    run.perplexity.toFixed(2),
    '21.0k',
    expect.stringContaining(mib(run.plannedBytes)),
    mib(run.allocatedBytes),
    expect.stringMatching(/ MiB 88.0 MiB before$/),
    '1.2 ms',
  ];
  expect(rows.map((row) => row.map(words))).toEqual([
    ['dense baseline', ...common(dense!)],
    ['compact n/4, lazy', ...common(compact!)],
  ]);
  expect(words(rows[1]![3]!)).toContain('+1.2 % against dense');
  expect(words(rows[1]![6]!)).toContain(
    `${((100 * compact!.plannedBytes) / dense!.plannedBytes).toFixed(1)} % of dense`,
  );
  const marked = rows.map((row) =>
    row.flatMap((cell, column) => (cell.includes('class="best"') ? [column] : [])),
  );
  expect(marked).toEqual([[3], [6]]);
});
