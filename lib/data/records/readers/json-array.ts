import { maxLineLength } from '../../utf8-text.js';
import type { TextChunk } from '../../utf8-text.js';
import { parseObject } from './parse-object.js';
import { brokenRecord } from './record.js';
import type { DataRecord, RecordPlace } from './record.js';

/**
 * The elements of one array of objects, each parsed when its end has come: the file may be larger than a string can be.
 * Every character is looked at once.
 *
 * @throws ERR_COMPACT_DATA_FORMAT with the number of the element
 */
export async function* readJsonArray(
  path: string,
  chunks: AsyncIterable<TextChunk>,
): AsyncGenerator<DataRecord> {
  const splitter = new ElementSplitter(path);
  for await (const { text } of chunks) {
    splitter.add(text);
    for (const { place, json } of splitter.take()) yield { place, fields: parseObject(place, json) };
  }
  splitter.end();
}

interface Element {
  readonly place: RecordPlace;
  readonly json: string;
}

/** Finds where elements begin and end by their brackets and strings; what is between is checked when it is parsed. */
class ElementSplitter {
  readonly #path: string;
  #elements: Element[] = [];
  #numElements = 0;
  /** What may come next outside of an element. */
  #state: 'array' | 'first' | 'element' | 'separator' | 'end' = 'array';
  /** Brackets that are open within the element, and whether a string is, with a backslash just before. */
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** Of an element that goes on in the next chunk. */
  #parts: string[] = [];
  #length = 0;

  constructor(path: string) {
    this.#path = path;
  }

  add(text: string): void {
    let start = 0;
    for (let i = 0; i < text.length; i++) {
      if (this.#depth === 0) {
        if (!this.#step(text[i]!)) continue;
        start = i;
      } else if (this.#closes(text[i]!)) {
        this.#parts.push(text.slice(start, i + 1));
        this.#elements.push({ place: this.#place(), json: this.#parts.join('') });
        this.#parts = [];
        this.#length = 0;
        this.#state = 'separator';
      }
    }
    if (this.#depth === 0) return;
    this.#parts.push(text.slice(start));
    this.#length += text.length - start;
    if (this.#length > maxLineLength)
      throw brokenRecord(this.#place(), `more than ${maxLineLength} characters`, {
        expected: 'a record of an ordinary length',
      });
  }

  /** The elements that have ended since the last call. */
  take(): readonly Element[] {
    const elements = this.#elements;
    this.#elements = [];
    return elements;
  }

  end(): void {
    if (this.#state === 'end') return;
    throw brokenRecord(this.#place(), 'the end of the file', {
      expected: 'an array that is closed by ]',
      remedy: 'The file may have been cut off: get it anew',
    });
  }

  /** Takes a character outside of elements; true where it opens one. */
  #step(letter: string): boolean {
    if (letter === ' ' || letter === '\n' || letter === '\r' || letter === '\t') return false;
    const isElementDue = this.#state === 'first' || this.#state === 'element';
    if (this.#state === 'array' && letter === '[') this.#state = 'first';
    else if (this.#state === 'separator' && letter === ',') this.#state = 'element';
    else if ((this.#state === 'separator' || this.#state === 'first') && letter === ']') this.#state = 'end';
    else if (isElementDue && letter === '{') {
      this.#numElements++;
      this.#depth = 1;
      return true;
    } else this.#refuse(letter);
    return false;
  }

  /** Takes a character of an element; true where it is the last. */
  #closes(letter: string): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (letter === '\\') this.#isEscaped = true;
      else if (letter === '"') this.#isInString = false;
      return false;
    }
    if (letter === '"') this.#isInString = true;
    else if (letter === '{' || letter === '[') this.#depth++;
    else if (letter === '}' || letter === ']') this.#depth--;
    return this.#depth === 0;
  }

  #refuse(letter: string): never {
    const expected = {
      array: 'an array, [',
      first: 'an object, {, or the end of the array, ]',
      element: 'an object, {',
      separator: 'a comma or the end of the array, ]',
      end: 'nothing behind the array',
    }[this.#state];
    if (this.#state !== 'end') this.#numElements++;
    throw brokenRecord(this.#place(), JSON.stringify(letter), { expected });
  }

  #place(): RecordPlace {
    return { path: this.#path, unit: 'item', number: Math.max(1, this.#numElements) };
  }
}
