/**
 * `admin`, `enforcement`, `pricing`, `extensions.prices` and `extensions.spend`: who may set caps,
 * and what requests cost. Read by the configuration loader.
 */
import { list } from '../schema/collection.ts'
import { choice } from '../schema/combine.ts'
import { block, defaulted, type Keys, optional, required, type Schema } from '../schema/field.ts'
import { flag, form, groupName, numberAbove, secret, text, wholeNumber } from '../schema/value.ts'

export interface AdminKey {
  readonly id: string
  readonly key: string
}

export interface AdminConfig {
  readonly write_keys: readonly AdminKey[]
  readonly read_keys: readonly AdminKey[]
  readonly admin_groups: readonly string[]
  readonly blocked_message?: string | undefined
  readonly audit_retention_days: number
  readonly spend_retention_months: number
  readonly identity_retention_days: number
  readonly group_limit_mode: 'min' | 'max'
  readonly billing_group_tag?: string | undefined
}

/** USD per million tokens. */
export interface PriceRow {
  readonly upstream: string
  readonly model: string
  readonly input: number
  readonly output: number
  readonly cache_read: number
  readonly cache_write: number
}

export interface PricingConfig {
  readonly multiplier: number
  readonly overrides: readonly PriceRow[]
}

export interface SpendConfig {
  readonly admin?: AdminConfig | undefined
  readonly enforcement: { readonly fail_closed_on_error: boolean }
  readonly pricing?: PricingConfig | undefined
}

/** One entry of `extensions.prices`, USD per million tokens. */
export interface PriceExtension extends Omit<PriceRow, 'upstream'> {
  readonly cache_write_1h?: number | undefined
}

const adminKey = block<AdminKey>({
  id: required(text(0), 'Name of the key in the audit log.'),
  key: required(secret(32), 'The key, sent by clients as x-api-key.'),
})

const billingTag = form(
  /^(?!anthropic)[\w.:/=+@-]{1,64}$/i,
  '1 to 64 letters, digits or _ . : / = + - @, not starting with anthropic',
)

const days = (description: string, fallback: number): Schema<number> =>
  defaulted(wholeNumber(1), description, fallback)

const admin = block<AdminConfig>({
  write_keys: defaulted(list(adminKey), 'Keys that may read and change spend limits.', []),
  read_keys: defaulted(list(adminKey), 'Keys that may read spend limits and costs.', []),
  admin_groups: defaulted(
    list(groupName),
    'Groups whose members may use the Admin API with their session.',
    [],
  ),
  blocked_message: optional(text(0), 'Text added for people whose limit is reached.'),
  audit_retention_days: days('How long changes of limits are kept, in days.', 365),
  spend_retention_months: days('How long recorded spend is kept, in months.', 13),
  identity_retention_days: days(
    'How long names and groups of inactive people are kept, in days.',
    90,
  ),
  group_limit_mode: defaulted(
    choice(['min', 'max']),
    'Whether the smallest or the largest limit of the groups of a person counts.',
    'min',
  ),
  billing_group_tag: optional(
    billingTag,
    'Key in `tags` of requests; its value is audited as billing_group if it is a group of the person. With it no tags are sent upstream.',
  ),
})

const enforcement = block<SpendConfig['enforcement']>({
  fail_closed_on_error: defaulted(flag, 'Refuse requests whose limit cannot be checked.', false),
})

/** Bounds of the reference; 10,000 USD per million tokens is far above any list price. */
const rate = numberAbove(0, 10_000)

const priceRow = block<PriceRow>({
  upstream: required(text(0), 'Name of the upstream the row is for.'),
  model: required(text(), 'Model id, as clients ask for it or as the upstream knows it.'),
  input: required(rate, 'Input tokens, USD per million.'),
  output: required(rate, 'Output tokens, USD per million.'),
  cache_read: required(rate, 'Tokens read from the prompt cache, USD per million.'),
  cache_write: required(rate, 'Tokens written to the prompt cache, USD per million.'),
})

const pricing = block<PricingConfig>({
  multiplier: defaulted(numberAbove(0, 10), 'Factor on every price; above 1 is a mark-up.', 1),
  overrides: defaulted(list(priceRow), 'Prices that differ from the list prices.', []),
})

export const spendKeys: Keys<SpendConfig> = {
  admin: optional(admin, 'Spend limits and the Admin API; the block itself turns metering on.'),
  enforcement: defaulted(enforcement, 'What happens when limits cannot be checked.', {}),
  pricing: optional(pricing, 'What tokens cost.'),
}

export const priceExtension: Schema<PriceExtension> = block<PriceExtension>({
  model: required(text(), 'Model id the price is for.'),
  input: required(rate, 'Input tokens, USD per million.'),
  output: required(rate, 'Output tokens, USD per million.'),
  cache_read: required(rate, 'Tokens read from the prompt cache, USD per million.'),
  cache_write: required(rate, 'Tokens written to the prompt cache, USD per million.'),
  cache_write_1h: optional(
    rate,
    'Tokens written to the one-hour prompt cache, USD per million; cache_write if absent.',
  ),
})
