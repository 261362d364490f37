// BERT (Devlin et al. 2019): positions from the first row of their table, two types of tokens, a pooler in front of its
// classifier.
import { encoderArchitecture } from '../encoder/architecture.js';
import { encoderTable, type EncoderConfig } from '../encoder/config.js';

export const bertArchitecture = encoderArchitecture<EncoderConfig>({
  words: { modelType: 'bert', classPrefix: 'Bert', title: 'BERT', options: {} },
  table: encoderTable,
  heads: {
    masked: {
      dense: 'cls.predictions.transform.dense',
      norm: 'cls.predictions.transform.LayerNorm',
      bias: 'cls.predictions.bias',
      tiedWeight: 'cls.predictions.decoder.weight',
      tiedBias: 'cls.predictions.decoder.bias',
    },
    label: { dense: 'bert.pooler.dense', output: 'classifier' },
  },
  unusedModules: ['cls.seq_relationship'],
  positionOffset: () => 0,
});
