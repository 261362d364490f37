/** Where the tokens of some sequences stand, and what they may see: what models read of packed documents and of windows. */
export interface Places {
  /** (sequences, sequenceLength), counted from the start of the document. */
  readonly positions: Int32Array;
  /** (sequences, sequenceLength), the first position of the sequence that a token may attend to. */
  readonly firstKeys: Int32Array;
}

/** Of sequences that are yet to be filled. */
export const emptyPlaces = (numTokens: number): Places => ({
  positions: new Int32Array(numTokens),
  firstKeys: new Int32Array(numTokens),
});

/**
 * Writes the places of a document's tokens.
 * @param sequence where its sequence starts in the arrays
 * @param start of the document in its sequence; `end` is the position behind it
 * @param slidingWindow tokens that a token sees, itself included; absent: all of its document before it
 */
export function placeDocument(
  { positions, firstKeys }: Places,
  sequence: number,
  { start, end }: { readonly start: number; readonly end: number },
  slidingWindow = Infinity,
): void {
  for (let position = start; position < end; position++) {
    positions[sequence + position] = position - start;
    firstKeys[sequence + position] = Math.max(start, position - slidingWindow + 1);
  }
}
