// Records of TensorBoard's event files: a length, its checksum, an Event of protocol buffers, its checksum
// (tensorflow/core/lib/io/record_writer.cc, tensorflow/core/util/event.proto, framework/summary.proto).

/** CRC-32C (Castagnoli), reflected, polynomial 0x1EDC6F41. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** The first record of a file. */
export const versionRecord = (wallTime: number): Uint8Array =>
  record(eventOf(wallTime, 0, field(3, Buffer.from('brain.Event:2'))));

/** A session starts: whatever other files say of `step` and later is of work that was lost. */
export const sessionStartRecord = (wallTime: number, step: number): Uint8Array =>
  record(eventOf(wallTime, step, field(7, wholeNumber(1, 1))));

/**
 * Numbers by tag, of a step.
 * @param wallTime seconds since 1970
 */
export const scalarsRecord = (
  wallTime: number,
  step: number,
  scalars: ReadonlyMap<string, number>,
): Uint8Array => {
  const values = Array.from(scalars, ([tag, value]) => {
    const simple = Buffer.alloc(5);
    simple[0] = (2 << 3) | 5;
    simple.writeFloatLE(value, 1);
    return field(1, Buffer.concat([field(1, Buffer.from(tag)), simple]));
  });
  return record(eventOf(wallTime, step, field(5, Buffer.concat(values))));
};

function eventOf(wallTime: number, step: number, what: Uint8Array): Uint8Array {
  const time = Buffer.alloc(9);
  time[0] = (1 << 3) | 1;
  time.writeDoubleLE(wallTime, 1);
  // Zero is left out, as everywhere in protocol buffers of version 3.
  return Buffer.concat([time, step === 0 ? new Uint8Array() : wholeNumber(2, step), what]);
}

/** A field of bytes, or of a message. */
const field = (number: number, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
const wholeNumber = (number: number, value: number): Uint8Array =>
  Buffer.concat([varint(number << 3), varint(value)]);

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function record(data: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(masked(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(masked(data));
  return Buffer.concat([head, data, tail]);
}

/** Checksums of data that holds checksums are stored like this. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
