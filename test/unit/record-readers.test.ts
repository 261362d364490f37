/** Records of files: the same rows whatever the form, and what is broken is told with its line, item or row. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as zlib from 'node:zlib';
import { placeText, readRecords } from '../../lib/data/records/readers/index.js';
import type { ReadOptions } from '../../lib/data/records/readers/index.js';

const fixtures = join(__dirname, '..', 'fixtures', 'records');
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compact-records-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

type Row = readonly [number, unknown];

async function readAll(path: string, options?: ReadOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const { place, fields } of readRecords(path, options)) rows.push([place.number, fields]);
  return rows;
}

const read = async (name: string, content: string | Uint8Array, options?: ReadOptions): Promise<Row[]> =>
  readAll(await file(name, content), options);

const formatError = (details: object, message = '') =>
  expect.objectContaining({
    code: 'ERR_COMPACT_DATA_FORMAT',
    details: expect.objectContaining(details),
    message: expect.stringContaining(message),
  });

describe('JSON lines', () => {
  test('empty lines are passed over and counted; a byte order mark and CRLF are no part of records', async () => {
    expect(await read('a.jsonl', '\ufeff{"a":1}\r\n\r\n  \n{"a":"x\\r\\n"}\r\n')).toEqual([
      [1, { a: 1 }],
      [4, { a: 'x\r\n' }],
    ]);
  });

  test('the last line needs no end, and a file may hold none', async () => {
    expect(await read('a.jsonl', '{"a":1}\n{"a":2}')).toEqual([
      [1, { a: 1 }],
      [2, { a: 2 }],
    ]);
    expect(await read('b.jsonl', '')).toEqual([]);
  });

  test.each([
    ['{"a":1}\n{"a":', 2, 'JSON'],
    ['{"a":1}\n\n[1]', 3, 'an array'],
    ['{"a":1}\nnull', 2, 'null'],
    ['{"a":1}{"a":2}', 1, 'JSON'],
    ['{\n"a": 1\n}', 1, 'one object a line'],
  ])('%j is refused at line %d', async (content, line, message) => {
    await expect(read('a.jsonl', content)).rejects.toEqual(formatError({ line }, message));
  });

  test('bytes that are not UTF-8 are refused with their place, never replaced', async () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xe9]), Buffer.from('"}')]);
    await expect(read('a.jsonl', bytes)).rejects.toMatchObject({ code: 'ERR_COMPACT_DATA_BINARY' });
    await expect(read('b.jsonl', Buffer.from('\ufeff{"a":1}', 'utf16le'))).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_BINARY',
    });
  });

  test('a line of 64 MiB is one record', async () => {
    const long = 'x'.repeat(2 ** 26);
    const rows = await read('a.jsonl', `{"a":"${long}"}\n{"a":"y"}\n`);
    expect(rows.map(([line, row]) => [line, (row as { a: string }).a.length])).toEqual([
      [1, 2 ** 26],
      [2, 1],
    ]);
  });
});

describe('a JSON array', () => {
  const rows = [{ a: '}],[{"\\' }, { b: [[], {}, '[', { c: '"' }] }, {}];

  test('its elements are records, however it is laid out', async () => {
    const expected = rows.map((row, i) => [i + 1, row]);
    expect(await read('a.json', JSON.stringify(rows))).toEqual(expected);
    expect(await read('b.json', `\ufeff\r\n ${JSON.stringify(rows, undefined, '\t')}\r\n`)).toEqual(expected);
    expect(await read('c.json', '[ ]')).toEqual([]);
  });

  test('elements go on over any number of chunks', async () => {
    const many = Array.from({ length: 3000 }, (_, i) => ({ i, text: 'é"\\'.repeat(i % 100) }));
    expect(await read('a.json', JSON.stringify(many))).toEqual(many.map((row, i) => [i + 1, row]));
  });

  test.each([
    ['[{"a":1},{"a":2}', 2, 'end of the file'],
    ['[{"a":1},{"a":', 2, 'end of the file'],
    ['[{"a":1} {"a":2}]', 2, 'a comma'],
    ['[{"a":1},]', 2, 'an object'],
    ['[{"a":1},2]', 2, 'an object'],
    ['[{"a":1},{"a":01}]', 2, 'JSON'],
    ['[{"a":[1}]]', 1, 'JSON'],
    ['[{"a":1}]{', 1, 'nothing behind'],
  ])('%j is refused at item %d', async (content, item, message) => {
    await expect(read('a.json', content)).rejects.toEqual(formatError({ item }, message));
  });

  test('a record of 64 MiB is read', async () => {
    const [[, row]] = (await read('a.json', `[{"a":"${'x'.repeat(2 ** 26)}"}]`)) as [[number, { a: string }]];
    expect(row.a.length).toBe(2 ** 26);
  });
});

describe('CSV', () => {
  test.each([
    [',', '\n'],
    [';', '\r\n'],
    ['\t', '\n'],
    ['|', '\r'],
  ])(
    'separated by %j, lines ended by %j: quotes hold separators, quotes and ends of lines',
    async (by, end) => {
      const lines = [`a${by}"b c"`, `1${by}"x${by}""y"""`, '', `"p${end}q"${by}`, `é👍${by} z `];
      expect(await read('a.csv', `\ufeff${lines.join(end)}${end}`)).toEqual([
        [2, { a: '1', 'b c': `x${by}"y"` }],
        [4, { a: `p${end}q`, 'b c': '' }],
        [6, { a: 'é👍', 'b c': ' z ' }],
      ]);
    },
  );

  test('the separator can be said', async () => {
    expect(await read('a.csv', 'a,b;c\n1;2\n', { separator: ';' })).toEqual([[2, { 'a,b': '1', c: '2' }]]);
  });

  test('a table of one column, without rows, or without anything', async () => {
    expect(await read('a.csv', 'text\nHello there\n')).toEqual([[2, { text: 'Hello there' }]]);
    expect(await read('b.csv', 'text,label')).toEqual([]);
    expect(await read('c.csv', '')).toEqual([]);
  });

  test.each([
    ['a,b\n1,2\n\n1,2,3\n', 4, '3 fields'],
    ['a,b\n1,2\n1\n', 3, '1 fields'],
    ['a,b\n"1\n2",2\n1,"2', 4, 'Quote Not Closed'],
    ['a,b\n1,2"3\n', 2, 'Quote'],
    ['a,b,a\n1,2,3\n', 1, 'two columns named "a"'],
    ['a,,c\n1,2,3\n', 1, 'a column without a name'],
  ])('%j is refused at line %d', async (content, line, message) => {
    await expect(read('a.csv', content)).rejects.toEqual(formatError({ line }, message));
  });

  test('bytes that are not UTF-8 are refused', async () => {
    const bytes = Buffer.from('text\nna\u00efve\n', 'latin1');
    await expect(read('a.csv', bytes)).rejects.toMatchObject({ code: 'ERR_COMPACT_DATA_BINARY' });
  });

  test('a field of many chunks is one field', async () => {
    const long = 'x,"\n'.repeat(2 ** 19);
    const rows = await read('a.csv', `a,b\n"${long.replaceAll('"', '""')}",1\n2,3\n`);
    expect(rows[0]).toEqual([2, { a: long, b: '1' }]);
    expect(rows[1]).toEqual([2 ** 19 + 3, { a: '2', b: '3' }]);
  });
});

describe('parquet', () => {
  const expected = [1, 2, 3, 4, 5].map((i) => [
    i,
    {
      messages: [
        { role: 'user', content: `What is ${i} + ${i}?` },
        { role: 'assistant', content: `${2 * i} ✓` },
      ],
      text: `Row ${i}: naïve 日本 👍`,
      label: i % 3,
      labels: [i, i + 1],
      missing: i % 2 === 1 ? null : 'there',
    },
  ]);

  test.each(['none', 'snappy', 'gzip', 'brotli'])('rows written by pyarrow, compression %s', async (name) => {
    const rows = await readAll(join(fixtures, `rows-${name}.parquet`));
    expect(rows.map(([n, row]) => [n, { ...(row as object), missing: undefined }])).toEqual(
      expected.map(([n, row]) => [n, { ...(row as object), missing: undefined }]),
    );
    expect(rows.map(([, row]) => (row as { missing: unknown }).missing)).toEqual(
      ['there', 'there', 'there', 'there', 'there'].map((text, i) => (i % 2 === 0 ? null : text)),
    );
  });

  test('Zstandard is read where Node has it, and refused with a remedy where it has not', async () => {
    const rows = readAll(join(fixtures, 'rows-zstd.parquet'));
    if ('zstdDecompressSync' in zlib) expect(await rows).toHaveLength(5);
    else
      await expect(rows).rejects.toEqual(
        expect.objectContaining({ remedy: expect.stringContaining('snappy') }),
      );
  });

  test('it is known by its content, and compressed by gzip it is read the same', async () => {
    const bytes = readFileSync(join(fixtures, 'rows-snappy.parquet'));
    expect(await read('data.csv', bytes)).toHaveLength(5);
    expect(await read('data.parquet.gz', gzipSync(bytes))).toHaveLength(5);
  });

  test('text that is not UTF-8, a file that was cut off, and no parquet at all are refused', async () => {
    await expect(readAll(join(fixtures, 'not-utf8.parquet'))).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_FORMAT',
    });
    const bytes = readFileSync(join(fixtures, 'rows-none.parquet'));
    for (const end of [4, 100, bytes.length - 9, bytes.length - 1])
      await expect(read('a.parquet', bytes.subarray(0, end))).rejects.toMatchObject({
        code: 'ERR_COMPACT_DATA_FORMAT',
      });
    await expect(read('b.parquet', 'nothing of the kind')).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_FORMAT',
    });
  });
});

describe('the form of a file', () => {
  const rows = [
    [1, { a: 1 }],
    [2, { a: 2 }],
  ];

  test('is told by the content where the ending says something else, or nothing', async () => {
    for (const name of ['a.json', 'a.csv', 'a.txt', 'a', 'a.parquet'])
      expect(await read(name, '{"a": 1}\n{"a": 2}')).toEqual(rows);
    for (const name of ['b.jsonl', 'b.csv', 'b'])
      expect(await read(name, '[{"a": 1}, {"a": 2}]')).toEqual(rows);
  });

  test('can be said', async () => {
    expect(await read('a', 'x\ny\n', { format: 'csv' })).toEqual([[2, { x: 'y' }]]);
    await expect(read('b', 'x\ny\n')).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_FORMAT',
      remedy: expect.stringContaining('format'),
    });
  });

  test('gzip is known by its first bytes, in several members, too', async () => {
    const member = (text: string): Buffer => gzipSync(text);
    const bytes = Buffer.concat([member('{"a": 1}\n{"a"'), member(': 2}')]);
    expect(await read('a.jsonl.gz', bytes)).toEqual(rows);
    expect(await read('a.jsonl', bytes)).toEqual(rows);
    expect(await read('a.csv.gz', gzipSync('a\n1\n'))).toEqual([[2, { a: '1' }]]);
    expect(await read('a.json.gz', gzipSync('[{"a": 1}, {"a": 2}]'))).toEqual(rows);
  });

  test('gzip that was cut off or changed is refused', async () => {
    const bytes = gzipSync('{"a": 1}\n'.repeat(1000));
    await expect(read('a.jsonl.gz', bytes.subarray(0, -9))).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_FORMAT',
      remedy: expect.stringContaining('gzip -t'),
    });
    bytes[bytes.length - 6]! ^= 1;
    await expect(read('b.jsonl.gz', bytes)).rejects.toMatchObject({ code: 'ERR_COMPACT_DATA_FORMAT' });
  });

  test('what is missing, or no file, is told', async () => {
    await expect(readAll(join(folder, 'none.jsonl'))).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_READ',
    });
    await expect(readAll(folder)).rejects.toMatchObject({ code: 'ERR_COMPACT_DATA_READ' });
  });
});

test.each(['a.jsonl', 'a.json', 'a.csv', 'a.jsonl.gz', 'a.parquet'])(
  'a reader that stops early leaves no file of %s open',
  async (name) => {
    const many = Array.from({ length: 50_000 }, (_, i) => ({ a: i }));
    const lines = many.map((row) => JSON.stringify(row)).join('\n');
    const content = {
      'a.json': JSON.stringify(many),
      'a.csv': ['a', ...many.map(({ a }) => a)].join('\n'),
      'a.jsonl.gz': gzipSync(lines),
      'a.parquet': readFileSync(join(fixtures, 'rows-none.parquet')),
    }[name];
    const path = await file(name, content ?? lines);
    for await (const { place } of readRecords(path)) {
      expect(placeText(place)).toMatch(/a\.\S+, (line|item|row) \d$/);
      break;
    }
    // Streams close their files soon after they have ended.
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (process.platform !== 'linux') return;
    const links = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) =>
        import('node:fs/promises').then(({ readlink }) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
      ),
    );
    expect(links).not.toContain(path);
  },
);
