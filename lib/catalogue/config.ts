/**
 * `models`, `auto_include_builtin_models` and `extensions.models`: what can be asked for. Read by
 * the configuration loader; the checked values go to the catalogue.
 */
import { filledMap, list, map } from '../schema/collection.ts'
import { block, defaulted, type Keys, optional, required, type Schema } from '../schema/field.ts'
import { flag, text, wholeNumber } from '../schema/value.ts'

export interface ModelConfig {
  readonly id: string
  readonly label?: string | undefined
  readonly description?: string | undefined
  /** Upstream name to that upstream's own model id. */
  readonly upstream_model: Readonly<Record<string, string>>
}

export interface CatalogueConfig {
  readonly models: readonly ModelConfig[]
  readonly auto_include_builtin_models: boolean
}

/** One entry of `extensions.models`. */
export interface ModelExtension {
  readonly id: string
  /** Provider to that provider's form of the id. */
  readonly forms: Readonly<Record<string, string>>
  readonly max_input_tokens?: number | undefined
}

const model = block<ModelConfig>({
  id: required(text(), 'Id that clients ask for; it may end in [1m].'),
  label: optional(text(0), 'Name shown in model pickers, instead of the id.'),
  description: optional(text(0), 'Line shown in model pickers.'),
  upstream_model: required(
    filledMap(text(0)),
    'For each upstream by name: its own id of the model.',
  ),
})

export const catalogueKeys: Keys<CatalogueConfig> = {
  models: defaulted(list(model), 'Models of your own, or built-in ones served differently.', []),
  auto_include_builtin_models: defaulted(
    flag,
    'Serve the built-in models besides the listed ones.',
    true,
  ),
}

export const modelExtension: Schema<ModelExtension> = block<ModelExtension>({
  id: required(text(), 'Id that clients ask for.'),
  forms: required(map(text()), 'For each provider: its own id of the model.'),
  max_input_tokens: optional(wholeNumber(1), 'Context window in tokens.'),
})
