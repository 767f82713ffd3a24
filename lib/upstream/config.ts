/**
 * `upstreams`, `load_test_mode` and the upstream parts of `extensions`: where requests go. One
 * row per provider beside the keys they all have. Read by the configuration loader; the checked
 * values go to the registry of providers.
 */
import { httpUrl } from '../schema/address.ts'
import { filledList, map } from '../schema/collection.ts'
import { choice, exactly, variant } from '../schema/combine.ts'
import { block, defaulted, type Keys, optional, required, type Schema } from '../schema/field.ts'
import { flag, form, groupName, numberFrom, text, wholeNumber } from '../schema/value.ts'
import { credentials, type Credentials } from './credentials-config.ts'

interface Common {
  /** Unique; the provider's name when the file gives none. */
  readonly name: string
  readonly base_url?: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly groups?: readonly string[] | undefined
  readonly timeouts: { readonly upstream_ttfb_ms?: number | undefined }
}

interface Any extends Common {
  readonly models?: readonly string[] | undefined
}

interface Providers {
  readonly anthropic: Any & {
    readonly auth: Credentials['anthropic']
    readonly forward_user_identity: boolean
  }
  readonly bedrock: Any & {
    readonly region: string
    readonly auth: Credentials['aws']
    readonly guardrail?: { readonly id: string; readonly version: string } | undefined
    readonly assume_role?: AssumeRole | undefined
  }
  readonly mantle: Common & {
    readonly region: string
    readonly models: readonly string[]
    readonly auth: Credentials['aws']
  }
  readonly anthropicAws: Any & {
    readonly region: string
    readonly workspace_id: string
    readonly auth: Credentials['platform']
  }
  readonly anthropicGoogleCloud: Any & {
    readonly project_id: string
    readonly workspace_id: string
    readonly location?: string | undefined
    readonly auth: Credentials['google']
  }
  readonly vertex: Any & {
    readonly region: string
    readonly project_id: string
    readonly auth: Credentials['vertex']
  }
  readonly foundry: Any & {
    readonly resource: string
    readonly auth: Credentials['azure']
  }
}

interface AssumeRole {
  readonly role_arn: string
  readonly external_id?: string | undefined
  readonly session_name?: 'email' | 'sub' | undefined
}

export type ProviderName = keyof Providers
export type ProviderConfig<P extends ProviderName> = Providers[P] & { readonly provider: P }
/** One entry of `upstreams`; `provider` tells the kinds apart. */
export type UpstreamConfig = { readonly [P in ProviderName]: ProviderConfig<P> }[ProviderName]

const models = filledList(text())

const modelsKey = optional(
  models,
  'Models this upstream may serve, as clients ask for them; * stands for any characters.',
)

const common = (provider: ProviderName): Keys<Common> => ({
  name: defaulted(text(0), 'Unique name in logs, prices and upstream_model.', provider),
  base_url: optional(httpUrl, "Address to call instead of the provider's own."),
  headers: defaulted(map(form(/^/, 'text', 'secret')), 'Headers added to every request.', {}),
  groups: optional(filledList(groupName), 'Only callers in one of these groups are sent here.'),
  timeouts: defaulted(
    block<Common['timeouts']>({
      upstream_ttfb_ms: optional(
        wholeNumber(1),
        'Longest wait for the first byte of this upstream, in milliseconds.',
      ),
    }),
    'Bounds of waiting for this upstream.',
    {},
  ),
})

const any = (provider: ProviderName): Keys<Any> => ({ ...common(provider), models: modelsKey })

const region = form(/^[a-z0-9-]+$/, 'a region: lowercase letters, digits and hyphens')

const guardrail = block<NonNullable<Providers['bedrock']['guardrail']>>({
  id: required(text(), 'Guardrail id or ARN.'),
  version: required(text(), 'Guardrail version, as text in quotes.'),
})

const kind = <P extends ProviderName>(provider: P): Schema<P> =>
  required(exactly(provider), 'Which kind of upstream this is.')

const assumeRole = block<AssumeRole>({
  role_arn: required(
    form(
      /^arn:aws(-us-gov)?:iam::/,
      'a role ARN that starts arn:aws:iam:: or arn:aws-us-gov:iam::',
    ),
    'Role assumed for each developer.',
  ),
  external_id: optional(text(), 'External id that the role asks for.'),
  session_name: optional(choice(['email', 'sub']), 'What names the session in the trail of AWS.'),
})

/** One row per provider; a new provider is a new row. */
const blocks: readonly Schema<UpstreamConfig>[] = [
  block<ProviderConfig<'anthropic'>>({
    provider: kind('anthropic'),
    ...any('anthropic'),
    auth: required(credentials.anthropic, 'How the gateway signs in to the Anthropic API.'),
    forward_user_identity: defaulted(flag, 'Tell the upstream who is asking.', false),
  }),
  block<ProviderConfig<'bedrock'>>({
    provider: kind('bedrock'),
    ...any('bedrock'),
    region: required(text(), 'AWS region.'),
    auth: required(credentials.aws, 'AWS credentials; {} uses the default chain.'),
    guardrail: optional(guardrail, 'Guardrail applied to every request.'),
    assume_role: optional(assumeRole, 'Role assumed for each developer.'),
  }),
  block<ProviderConfig<'mantle'>>({
    provider: kind('mantle'),
    ...common('mantle'),
    models: required(models, 'Models this upstream serves, as clients ask for them.'),
    region: required(text(), 'AWS region.'),
    auth: required(credentials.aws, 'AWS credentials; {} uses the default chain.'),
  }),
  block<ProviderConfig<'anthropicAws'>>({
    provider: kind('anthropicAws'),
    ...any('anthropicAws'),
    region: required(region, 'AWS region.'),
    workspace_id: required(text(), 'Workspace that requests are billed to.'),
    auth: required(credentials.platform, 'API key or AWS credentials; {} uses the default chain.'),
  }),
  block<ProviderConfig<'anthropicGoogleCloud'>>({
    provider: kind('anthropicGoogleCloud'),
    ...any('anthropicGoogleCloud'),
    project_id: required(text(), 'Google Cloud project.'),
    workspace_id: required(text(), 'Workspace that requests are billed to.'),
    location: optional(text(), 'Location, such as global.'),
    auth: required(credentials.google, 'Google credentials; {} uses the default ones.'),
  }),
  block<ProviderConfig<'vertex'>>({
    provider: kind('vertex'),
    ...any('vertex'),
    region: required(region, 'Google Cloud region, global or us.'),
    project_id: required(text(), 'Google Cloud project.'),
    auth: required(credentials.vertex, 'Google credentials; {} uses the default ones.'),
  }),
  block<ProviderConfig<'foundry'>>({
    provider: kind('foundry'),
    ...any('foundry'),
    resource: required(
      form(
        /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])$/i,
        '2 to 64 letters, digits or hyphens, no hyphen at the ends',
      ),
      'Name of the Azure AI Foundry resource.',
    ),
    auth: required(credentials.azure, 'How the gateway signs in to Azure.'),
  }),
]

const upstream = variant<UpstreamConfig>('provider', blocks)

export interface LoadTestConfig {
  readonly enabled: boolean
  readonly reply_tokens: number
  readonly reply_seconds: number
}

export interface RoutingConfig {
  readonly upstreams: readonly UpstreamConfig[]
  readonly load_test_mode?: LoadTestConfig | undefined
}

const loadTest = block<LoadTestConfig>({
  enabled: required(flag, 'Answer with made-up text instead of asking the upstream.'),
  reply_tokens: defaulted(wholeNumber(1, 100_000), 'Length of the made-up answer in tokens.', 750),
  reply_seconds: defaulted(
    numberFrom(0, 600),
    'How long a streamed answer takes, in seconds.',
    9.5,
  ),
})

export const routingKeys: Keys<RoutingConfig> = {
  upstreams: required(filledList(upstream), 'Where requests go, in the order they are tried.'),
  load_test_mode: optional(loadTest, 'Canned answers, for measuring the gateway itself.'),
}

/** The parts of `extensions` that speak of upstreams. */
export interface RoutingExtensions {
  /** By upstream name. */
  readonly upstreams: Readonly<Record<string, { readonly upstream_ttfb_ms?: number | undefined }>>
  readonly upstream_health?:
    | { readonly failures: number; readonly open_seconds: number }
    | undefined
}

export const routingExtensionKeys: Keys<RoutingExtensions> = {
  upstreams: defaulted(
    map(
      block<RoutingExtensions['upstreams'][string]>({
        upstream_ttfb_ms: optional(
          wholeNumber(100, 3_600_000),
          'Longest wait for the first byte of this upstream, in milliseconds.',
        ),
      }),
    ),
    'Settings for single upstreams, by name.',
    {},
  ),
  upstream_health: optional(
    block<NonNullable<RoutingExtensions['upstream_health']>>({
      failures: defaulted(wholeNumber(1, 100), 'Failures in a row that open the circuit.', 5),
      open_seconds: defaulted(
        wholeNumber(1, 600),
        'How long an upstream is skipped, in seconds.',
        30,
      ),
    }),
    'Skip an upstream that keeps failing.',
  ),
}
