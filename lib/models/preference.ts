// Models of language that learn preferences: everything is the model's own, but for the loss, which its causal head makes.
import { compactError } from '../errors.js';
import { givesLoss, type Model, type PreferenceOptions } from '../graph/index.js';
import { referenceLogProbabilities } from './heads/causal.js';

/**
 * The same model with the loss of preference pairs in the place of that of tokens.
 * @throws ERR_COMPACT_CONFIG_VALUE for a model that predicts no token from those before it, and, when it is built, for one of
 *   its own that leaves `BuildOptions.preference` unread
 */
export function learningPreferences(model: Model, preference: PreferenceOptions): Model {
  const refused = (received: string): Error =>
    compactError('ERR_COMPACT_CONFIG_VALUE', `the model ${model.name} learns no preferences`, {
      op: 'preference',
      expected: 'a model of language, whose head makes the loss of preference pairs',
      received,
    });
  if (model.isCausal !== true) throw refused('a model that is not causal');
  return {
    ...model,
    batchFields: [...model.batchFields, referenceLogProbabilities],
    sequencesOfExample: 2,
    build(graph, options) {
      const result = model.build(graph, { ...options, preference });
      const { name } = referenceLogProbabilities;
      const isRead = graph.values.some((value) => value.kind === 'input' && value.name === name);
      if (givesLoss(options) && !isRead) throw refused(`a loss that does not read ${name}`);
      return result;
    },
    constants: (sequenceLength) => model.constants(sequenceLength),
    describe: () => model.describe(),
    pretrainedConfig: (dtype, tokens) => model.pretrainedConfig(dtype, tokens),
  };
}
