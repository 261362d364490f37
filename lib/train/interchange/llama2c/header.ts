/** The numbers of a file of llama2.c. */
export interface Llama2cHeader {
  readonly version: 0 | 1;
  readonly headerBytes: number;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocab: number;
  readonly length: number;
  /** Whether the head is the embedding table. */
  readonly isTied: boolean;
}

const magic = 0x616b3432; // 'ak42'

/**
 * @param start the first 256 bytes of a file, or as many as it has
 * @returns undefined for numbers that no model has, and for versions with weights in codes
 */
export function parseHeader(start: Uint8Array): Llama2cHeader | undefined {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const isVersion1 = view.getUint32(0, true) === magic;
  if (isVersion1 && view.getInt32(4, true) !== 1) return undefined;
  const offset = isVersion1 ? 8 : 0;
  const numbers = Array.from({ length: 7 }, (_, i) => view.getInt32(offset + 4 * i, true));
  const [dim, hiddenDim, layers, heads, kvHeads, vocab, length] = numbers as [
    ...[number, number, number, number],
    ...[number, number, number],
  ];
  const isTied = isVersion1 ? view.getUint8(36) === 1 : vocab > 0;
  const sizes = [dim, hiddenDim, layers, heads, kvHeads, Math.abs(vocab), length];
  if (sizes.some((size) => size < 1 || size > 2 ** 24) || layers > 256) return undefined;
  if (dim % (2 * heads) !== 0 || heads % kvHeads !== 0) return undefined;
  return {
    version: isVersion1 ? 1 : 0,
    headerBytes: isVersion1 ? 256 : 28,
    ...{ dim, hiddenDim, layers, heads, kvHeads, vocab: Math.abs(vocab), length, isTied },
  };
}

/** A tensor under the name that Hugging Face's checkpoints have; without one it is a table that is computed anew. */
interface Placed {
  readonly name?: string;
  readonly shape: readonly number[];
}

/** What stands behind the header, one after the other. */
export function layoutOf(header: Llama2cHeader): readonly Placed[] {
  const { version, dim, hiddenDim, layers, heads, kvHeads, vocab, length, isTied } = header;
  const kvDim = (dim / heads) * kvHeads;
  const ofLayers = (module: string, ...shape: number[]): readonly Placed[] =>
    Array.from({ length: layers }, (_, layer) => ({ name: `model.layers.${layer}.${module}.weight`, shape }));
  const table: Placed = { name: 'model.embed_tokens.weight', shape: [vocab, dim] };
  const lastNorm: Placed = { name: 'model.norm.weight', shape: [dim] };
  const head: readonly Placed[] = isTied ? [] : [{ name: 'lm_head.weight', shape: [vocab, dim] }];
  const attentionNorms = ofLayers('input_layernorm', dim);
  const mlpNorms = ofLayers('post_attention_layernorm', dim);
  const attention = [
    ...ofLayers('self_attn.q_proj', dim, dim),
    ...ofLayers('self_attn.k_proj', kvDim, dim),
    ...ofLayers('self_attn.v_proj', kvDim, dim),
    ...ofLayers('self_attn.o_proj', dim, dim),
  ];
  const mlp = [
    ...ofLayers('mlp.gate_proj', hiddenDim, dim),
    ...ofLayers('mlp.down_proj', dim, hiddenDim),
    ...ofLayers('mlp.up_proj', hiddenDim, dim),
  ];
  if (version === 1) return [...attentionNorms, ...mlpNorms, lastNorm, table, ...attention, ...mlp, ...head];
  const cosinesAndSines: Placed = { shape: [length, dim / heads] };
  return [table, ...attentionNorms, ...attention, ...mlpNorms, ...mlp, lastNorm, cosinesAndSines, ...head];
}
