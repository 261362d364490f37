import { isCompactError } from '../errors.js';
import { optionInfos, type OptionInfo } from '../options.js';
import { presetsByName } from './from-description.js';
import { optimizerDefinitions } from './optimizers/definitions.js';
import { commonTable } from './embedding-optimizer.js';
import { savingTable } from './saving/saving-options.js';
import { weightTable } from './weights/weight-options.js';

/** A method or an optimizer by name, as listings show it. */
export interface CatalogueEntry {
  readonly name: string;
  /** Where it was published. */
  readonly source: string;
  /** Options of its own. */
  readonly options: readonly OptionInfo[];
  /** Of a method the optimizers that it takes, of an optimizer the methods that take it. */
  readonly composesWith: readonly string[];
  /** Where it runs. */
  readonly devices: readonly string[];
}

/** What there is to train with. */
export interface MethodCatalogue {
  readonly methods: readonly CatalogueEntry[];
  readonly optimizers: readonly CatalogueEntry[];
  /** Options of every method beside its own and its optimizer's. */
  readonly common: readonly OptionInfo[];
}

/** Every op of every method is in both backends, which the tests of ops run. */
const devices = ['cpu', 'cuda'] as const;

/** Every method and every optimizer; which of them go together is found by putting them together. */
export function methodCatalogue(): MethodCatalogue {
  const presets = [...presetsByName.values()];
  const definitions = [...optimizerDefinitions.values()];
  const pairs = presets.flatMap(({ info }) =>
    definitions
      .filter(({ name }) => goTogether(info.name, name))
      .map(({ name }) => [info.name, name] as const),
  );
  return {
    methods: presets.map(({ info }) => ({
      ...info,
      composesWith: pairs.filter(([method]) => method === info.name).map(([, optimizer]) => optimizer),
      devices,
    })),
    optimizers: definitions.map(({ name, source, table }) => ({
      name,
      source,
      options: optionInfos(table as Parameters<typeof optionInfos>[0]),
      composesWith: pairs.filter(([, optimizer]) => optimizer === name).map(([method]) => method),
      devices,
    })),
    common: [...optionInfos(commonTable), ...optionInfos(weightTable()), ...optionInfos(savingTable())],
  };
}

function goTogether(method: string, optimizer: string): boolean {
  try {
    presetsByName.get(method)!({ optimizer });
    return true;
  } catch (error) {
    if (isCompactError(error)) return false;
    throw error;
  }
}
