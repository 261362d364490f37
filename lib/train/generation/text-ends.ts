import { ChatTemplate } from '../../data/records/index.js';
import type { StoredModel } from '../weights/stored-model.js';
import { endIdsOf } from './end-ids.js';
import { plainText, type TextModel } from './text-model.js';

/**
 * How texts of a model begin and end: of a checkpoint as it was trained, of other models as their files say.
 * @throws ERR_COMPACT_MODEL_READ, ERR_COMPACT_CHAT_TEMPLATE
 */
export async function textEnds(
  found: Pick<StoredModel, 'path' | 'tokenizer' | 'step'>,
): Promise<Pick<TextModel, 'endIds' | 'addsBos' | 'chatTemplate'>> {
  const { path, tokenizer, step } = found;
  const chatTemplate = await ChatTemplate.load(path);
  const plain = plainText(tokenizer);
  if (step !== undefined) return { ...plain, chatTemplate };
  const endIds = new Set([...plain.endIds, ...(await endIdsOf(path))]);
  return { endIds, addsBos: tokenizer.addsBos, chatTemplate };
}
