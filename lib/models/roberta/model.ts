// RoBERTa (Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019): positions count from the row behind
// that of padding, which stands at the end of sequences, and its classifier reads the first token itself.
import { optional, wholeNumber, type OptionTable } from '../../options.js';
import { encoderArchitecture } from '../encoder/architecture.js';
import { encoderTable, type EncoderConfig } from '../encoder/config.js';
import { bounds } from '../decoder/config.js';

interface RobertaConfig extends EncoderConfig {
  /** The id of padding, and the row of the table of positions in front of that of the first token. Default 1. */
  readonly padTokenId?: number;
}

const table = {
  ...encoderTable,
  padTokenId: optional(wholeNumber(0, bounds.vocabulary), 1),
} satisfies OptionTable<RobertaConfig>;

export const robertaArchitecture = encoderArchitecture<RobertaConfig>({
  words: {
    modelType: 'roberta',
    classPrefix: 'Roberta',
    title: 'RoBERTa',
    options: { pad_token_id: 'padTokenId' },
  },
  table,
  heads: {
    masked: {
      dense: 'lm_head.dense',
      norm: 'lm_head.layer_norm',
      bias: 'lm_head.bias',
      tiedWeight: 'lm_head.decoder.weight',
      tiedBias: 'lm_head.decoder.bias',
    },
    label: { dense: 'classifier.dense', output: 'classifier.out_proj' },
  },
  unusedModules: ['roberta.pooler'],
  positionOffset: ({ padTokenId }) => padTokenId! + 1,
});
