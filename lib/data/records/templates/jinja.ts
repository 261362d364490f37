import * as jinja from '@huggingface/jinja';

/* The parts of the library that are used, with types: its own name files without an extension, which are not found. */

/** A parsed template. */
export type JinjaProgram = object;

/** A statement or an expression of it. */
export interface JinjaNode {
  readonly type: string;
}

export interface JinjaValue {
  readonly type: string;
  readonly value: unknown;
  /** Methods, by name. */
  readonly builtins: Map<string, JinjaValue>;
}

export interface JinjaEnvironment {
  /** Plain values, and functions that take and give plain values. */
  set(name: string, value: unknown): JinjaValue;
}

export interface JinjaInterpreter {
  run(program: JinjaProgram): JinjaValue;
  /** Called for every statement and expression, as often as it runs. */
  evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue;
}

export const { Environment, Interpreter, Template } = jinja as unknown as {
  readonly Environment: new () => JinjaEnvironment;
  readonly Interpreter: new (environment: JinjaEnvironment) => JinjaInterpreter;
  /** White space around tags is treated as transformers has Jinja do it. */
  readonly Template: new (source: string) => { readonly parsed: JinjaProgram };
};
