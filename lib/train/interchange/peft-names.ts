/*
 * Names of PEFT. A module is what holds a weight, e.g. `model.layers.0.self_attn.q_proj`; its factors stand in files as
 * `base_model.model.<module>.lora_A.weight` and `lora_B`.
 */
export const factorIn = (module: string, letter: 'A' | 'B'): string =>
  `base_model.model.${module}.lora_${letter}.weight`;

/** The name of a tensor that is saved whole. */
export const savedName = (tensor: string): string => `base_model.model.${tensor}`;

/** The module that a factor is of; undefined for what is none. */
export const moduleOfFactor = (name: string): string | undefined =>
  /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(name)?.[1];

export const moduleOfWeight = (tensor: string): string => tensor.replace(/\.(weight|bias)$/, '');

/**
 * Ends of names by which PEFT finds some modules, and no other: the last word where it is enough, else as many as are needed.
 * @param all modules of the model, the wanted ones included
 */
export function endsOfNames(wanted: readonly string[], all: readonly string[]): readonly string[] {
  const others = all.filter((module) => !wanted.includes(module));
  const ends = wanted.map((module) => {
    const words = module.split('.');
    const found = words
      .map((_, i) => words.slice(-i - 1).join('.'))
      .find((end) => !others.some((other) => other === end || other.endsWith(`.${end}`)));
    return found ?? module;
  });
  return [...new Set(ends)].sort();
}
