// The layers of a model are put into blocks, of which one is trained at a time, for a number of steps (block coordinate
// descent; BAdam, Luo et al., NeurIPS 2024, arXiv 2404.02827). States begin at zero with each turn, so the one whose turn it
// is has them where the one before it had its own: there is one place for those of the largest block. Each block has a form
// of the step of its own, whose backward pass goes down to the lowest layer that it trains and no further.
import { compactError } from '../../errors.js';
import {
  fillPersistent,
  nameOfStates,
  parametersOf,
  ratedPart,
  scalar,
  type Graph,
  type Program,
  type Value,
} from '../../graph/index.js';
import { permutation } from '../../graph/permutation.js';
import { oneOf, optional, wholeNumber, type OptionTable } from '../../options.js';
import { isFrozenBy } from '../frozen.js';
import { statesOf } from '../optimizers/states-of.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import type { StepOptions } from '../optimizers/step.js';
import type { Adaptation } from './adaptation.js';
import { TurnClock } from './turn-clock.js';

/** Which blocks there are, and when each has its turn. */
export interface BlockOptions {
  /** Parts that the layers are put into: consecutive layers, about equally many. Default 8; the paper: one for each layer. */
  readonly blocks?: number;
  /** Optimizer steps of a turn: the paper's K, `switch_block_every` of its code. Default 100. */
  readonly switchInterval?: number;
  /**
   * In which order blocks have their turns: each round in another order drawn from `seed`, or from the first layer to the last, or
   * from the last to the first. Default 'random'.
   */
  readonly switchMode?: 'random' | 'ascending' | 'descending';
  /**
   * What is in no layer (embeddings, output head, last norm): 'frozen', as published, or 'trained' at every step, with states
   * of its own. Default 'frozen'.
   */
  readonly otherParameters?: 'frozen' | 'trained';
}

export const blockTable = {
  blocks: optional(wholeNumber(1), 8),
  switchInterval: optional(wholeNumber(1), 100),
  switchMode: optional(oneOf(['random', 'ascending', 'descending']), 'random'),
  otherParameters: optional(oneOf(['frozen', 'trained']), 'frozen'),
} satisfies OptionTable<BlockOptions>;

/**
 * Blocks of layers that are trained in turns.
 * @param name of the method, for errors
 * @param optimizer whose states begin anew with each turn
 * @param frozen names of parameters that are never trained
 */
export function blocksInTurn(
  name: string,
  { blocks, switchInterval, switchMode, otherParameters, seed }: Required<BlockOptions> & StepOptions,
  optimizer: Optimizer,
  frozen: readonly string[] = [],
): Adaptation {
  const isFrozen = isFrozenBy(frozen);
  const ascending = Array.from({ length: blocks }, (_, block) => block);
  const orders = {
    random: (round: number) => ascending.map(permutation(blocks, seed, round)),
    ascending: () => ascending,
    descending: () => ascending.toReversed(),
  };
  const variantOf = (block: number): string => `block-${block}`;
  const isTrainedWith =
    (block: number) =>
    ({ parameter }: Value): boolean =>
      parameter!.turn === undefined ? otherParameters === 'trained' : parameter!.turn.number === block;

  return {
    rewriteForward(forward) {
      const layers = layersOf(forward);
      if (layers.size < blocks) throw tooFewLayers(name, blocks, layers.size);
      for (const [layer, parameters] of layers) {
        const number = Math.floor((layer * blocks) / layers.size);
        const place = layer - Math.ceil((number * layers.size) / blocks);
        for (const parameter of parameters)
          forward.graph.takeTurns(parameter, { number, statesAs: nameInPlace(parameter, layer, place) });
      }
      return forward;
    },

    isTrained: isTrainedWith(0),
    trains: { layers: true, embeddingAndHead: otherParameters === 'trained' },
    variants: Object.fromEntries(
      ascending.slice(1).map((block) => [variantOf(block), { isTrained: isTrainedWith(block) }]),
    ),
    stateStep: ({ parameter }) => scalar(parameter!.turn === undefined ? 'step' : 'turnStep'),

    clocks: {
      turn: {
        scalars: TurnClock.scalars,
        entries: { switch: beginAnew },
        start: () =>
          new TurnClock({
            switchInterval,
            orderOf: orders[switchMode],
            variantOf: (block) => (block === 0 ? undefined : variantOf(block)),
            entries: ['switch'],
          }),
      },
    },
  };

  /** States of zero, once in each place. */
  function beginAnew(graph: Graph, parameter: Value): void {
    if (parameter.parameter!.turn === undefined || isFrozen(parameter)) return;
    const context = { gradientScale: undefined, stateStep: scalar('turnStep') };
    const states = statesOf(parameter, (copy) =>
      optimizer.update(copy, copy.graph.input('gradient', copy.shape, 'f32'), context),
    );
    const known = new Set(graph.persistentValues.map((value) => value.name));
    for (const { name: state, shape, dtype, kind } of states)
      if (!known.has(state)) fillPersistent(graph.state(state, shape, dtype, kind), 0);
  }
}

/** The parameters of each layer, by its number. */
function layersOf(forward: Program): ReadonlyMap<number, readonly Value[]> {
  const layers = new Map<number, Value[]>();
  for (const parameter of parametersOf(forward)) {
    const [, number] = ratedPart(parameter.layer)?.split('.') ?? [];
    if (number === undefined) continue;
    const layer = Number(number);
    layers.set(layer, [...(layers.get(layer) ?? []), parameter]);
  }
  return layers;
}

/** The name of a parameter with its place in a block where the number of its layer stands. */
const nameInPlace = (parameter: Value, layer: number, place: number): string =>
  nameOfStates(parameter).replace(`.${layer}.`, `.block[${place}].`);

const tooFewLayers = (name: string, blocks: number, layers: number): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', `${name} has more blocks than the model has layers`, {
    op: 'blocks',
    expected: `at most ${layers}, the layers of the model`,
    received: String(blocks),
    remedy: layers === 0 ? "Train it with method 'dense'" : `Set blocks: ${layers}, or fewer`,
  });
