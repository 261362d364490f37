import { layerRate, scalar, type Attribute, type Node, type Program } from '../graph/index.js';

/** Gives each layer learning rates of its own: nodes read those of the layer that they belong to. */
export function withLayerRates(program: Program): Program {
  const rateOf = (attribute: Attribute, { layer }: Node): Attribute =>
    typeof attribute === 'number' ? attribute : scalar(layerRate(attribute.scalar, layer));
  const nodes = program.nodes.map((node) => ({
    ...node,
    attributes: Object.fromEntries(
      Object.entries(node.attributes).map(([name, attribute]) => [name, rateOf(attribute, node)]),
    ),
  }));
  return { ...program, nodes };
}
