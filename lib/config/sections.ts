/**
 * The whole file as one strict schema, composed of every folder's own config.ts. `Config` is what
 * it yields: defaults filled in, numbers and lists in one form, secrets in clear.
 */
import { type OperationsExtensions, operationsExtensionKeys } from '../audit/config.ts'
import {
  type CatalogueConfig,
  catalogueKeys,
  type ModelExtension,
  modelExtension,
} from '../catalogue/config.ts'
import { type EdgeConfig, edgeKeys } from '../http/config.ts'
import { type SignInConfig, signInKeys } from '../identity/config.ts'
import { type PolicyConfig, policyKeys } from '../policy/config.ts'
import { list } from '../schema/collection.ts'
import { block, defaulted, type Keys, optional, type Schema } from '../schema/field.ts'
import { flag, text } from '../schema/value.ts'
import {
  type PriceExtension,
  priceExtension,
  type SpendConfig,
  spendKeys,
} from '../spend/config.ts'
import { type StoreConfig, storeKeys } from '../store/config.ts'
import {
  type TelemetryConfig,
  type TelemetryExtension,
  telemetryExtension,
  telemetryKeys,
} from '../telemetry/config.ts'
import {
  type RoutingConfig,
  type RoutingExtensions,
  routingExtensionKeys,
  routingKeys,
} from '../upstream/config.ts'

/** What the reference does not know; deleting the block gives a file that it boots. */
export interface Extensions extends RoutingExtensions, OperationsExtensions {
  readonly models: readonly ModelExtension[]
  readonly prices: readonly PriceExtension[]
  readonly spend: { readonly reserve: boolean }
  readonly settings: { readonly allow: readonly string[] }
  readonly telemetry?: TelemetryExtension | undefined
}

export interface Config
  extends EdgeConfig, SignInConfig, RoutingConfig, CatalogueConfig, SpendConfig, PolicyConfig {
  readonly store: StoreConfig
  readonly telemetry?: TelemetryConfig | undefined
  readonly extensions: Extensions
}

const extensions = block<Extensions>({
  ...routingExtensionKeys,
  models: defaulted(list(modelExtension), 'Models added to the built-in catalogue.', []),
  prices: defaulted(
    list(priceExtension),
    'List prices, for models that have none or another one; in every spelling, on every upstream.',
    [],
  ),
  spend: defaulted(
    block<Extensions['spend']>({
      reserve: defaulted(flag, 'Set the most it may cost aside before each request.', false),
    }),
    'How spend is counted.',
    {},
  ),
  settings: defaulted(
    block<Extensions['settings']>({
      allow: defaulted(list(text()), 'Keys of managed settings accepted though unknown here.', []),
    }),
    'How managed settings are checked.',
    {},
  ),
  telemetry: optional(telemetryExtension, 'How telemetry is relayed.'),
  ...operationsExtensionKeys,
})

const keys: Keys<Config> = {
  ...edgeKeys,
  ...signInKeys,
  ...storeKeys,
  ...routingKeys,
  ...catalogueKeys,
  ...spendKeys,
  ...policyKeys,
  ...telemetryKeys,
  extensions: defaulted(extensions, 'Everything this gateway adds to the documented file.', {}),
}

export const configSchema: Schema<Config> = block<Config>(keys)
