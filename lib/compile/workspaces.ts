import { type Node, type Value, definitionOf } from '../graph/index.js';
import { checkValue, wholeNumber } from '../options.js';
import type { Target } from './options.js';

/** Bytes of scratch that a node's kernel needs. */
export type WorkspaceBytes = (node: Node) => number;

/** Asks the target once for equal calls: most layers of a model are alike, and nodes are placed more than once. */
export function workspaceBytesOn(target: Target): WorkspaceBytes {
  const ofNodes = new Map<Node, number>();
  const ofCalls = new Map<string, number>();
  return (node) => {
    let bytes = ofNodes.get(node);
    if (bytes !== undefined) return bytes;
    const key = callKey(node);
    bytes = ofCalls.get(key);
    if (bytes === undefined) ofCalls.set(key, (bytes = checkedBytes(node.op, target.workspaceBytes(node))));
    ofNodes.set(node, bytes);
    return bytes;
  };
}

const checkedBytes = (op: string, bytes: number): number =>
  checkValue(bytes, wholeNumber(0), `the workspace of ${op} that target.workspaceBytes() gives`);

const shapeOf = (value: Value | undefined) => value && `${value.dtype}[${value.shape.join()}]`;

function callKey(node: Node): string {
  const { op, inputs, outputs, attributes } = node;
  const { identity } = definitionOf(node);
  // Which tensor it is cannot change what a kernel needs.
  const others = JSON.stringify(Object.entries(attributes).filter(([name]) => !identity.includes(name)));
  return `${op} ${inputs.map(shapeOf).join()} ${outputs.map(shapeOf).join()} ${others}`;
}
