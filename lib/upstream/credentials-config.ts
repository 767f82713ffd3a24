/** The `auth` blocks of `upstreams`, one row for each way a provider is signed in to. */
import { anyOf, exactly, refine } from '../schema/combine.ts'
import { block, type Keys, optional, required } from '../schema/field.ts'
import { secret, text } from '../schema/value.ts'

export interface Credentials {
  readonly anthropic:
    | { readonly api_key: string }
    | { readonly oauth_token: string }
    | {
        readonly federation_rule_id: string
        readonly organization_id: string
        readonly identity_token_file: string
        readonly workspace_id?: string | undefined
        readonly service_account_id?: string | undefined
      }
  /** Without any key: the default chain of AWS. */
  readonly aws: AwsKeys & { readonly aws_bearer_token?: string | undefined }
  /** `api_key` wins over a key pair; without any: the default chain of AWS. */
  readonly platform: AwsKeys & { readonly api_key?: string | undefined }
  /** Without any key: application default credentials. */
  readonly google: {
    readonly service_account_json?: string | undefined
    readonly access_token?: string | undefined
  }
  /** Without the key: application default credentials. */
  readonly vertex: { readonly service_account_json?: string | undefined }
  readonly azure: { readonly api_key: string } | { readonly use_azure_ad: true }
}

interface AwsKeys {
  readonly aws_access_key_id?: string | undefined
  readonly aws_secret_access_key?: string | undefined
  readonly aws_session_token?: string | undefined
}

type Anthropic = Credentials['anthropic']
type Federation = Extract<Anthropic, { federation_rule_id: string }>

const apiKey = block<{ readonly api_key: string }>({
  api_key: required(secret(), 'API key.'),
})

const anthropic = anyOf(
  [
    apiKey,
    block<{ readonly oauth_token: string }>({
      oauth_token: required(secret(), 'OAuth token, sent as a bearer token.'),
    }),
    block<Federation>({
      federation_rule_id: required(text(), 'Workload identity federation rule.'),
      organization_id: required(text(), 'Organization of the rule.'),
      identity_token_file: required(text(), 'File with the identity token; read again when used.'),
      workspace_id: optional(text(), 'Workspace to act in.'),
      service_account_id: optional(text(), 'Service account to act as.'),
    }),
  ],
  {
    expected:
      'exactly one of: api_key; oauth_token; federation_rule_id with organization_id and identity_token_file',
  },
)

const awsKeys: Keys<AwsKeys> = {
  aws_access_key_id: optional(text(), 'Access key id; needs the secret access key.'),
  aws_secret_access_key: optional(secret(), 'Secret access key; needs the access key id.'),
  aws_session_token: optional(secret(), 'Session token of temporary keys.'),
}

const completePair = (keys: AwsKeys): boolean =>
  (keys.aws_access_key_id === undefined) === (keys.aws_secret_access_key === undefined)

const pairForToken = (keys: AwsKeys): boolean =>
  keys.aws_session_token === undefined || keys.aws_access_key_id !== undefined

const pairRule = 'aws_access_key_id and aws_secret_access_key together, or neither'
const tokenRule = 'aws_session_token only beside aws_access_key_id and aws_secret_access_key'

const aws = block<Credentials['aws']>({
  ...awsKeys,
  aws_bearer_token: optional(secret(), 'Bedrock API key, sent as a bearer token.'),
})

const platform = block<Credentials['platform']>({
  ...awsKeys,
  api_key: optional(secret(), 'API key; wins over the key pair.'),
})

export const credentials: Keys<Credentials> = {
  anthropic,
  aws: refine(refine(aws, completePair, pairRule), pairForToken, tokenRule),
  platform: refine(refine(platform, completePair, pairRule), pairForToken, tokenRule),
  google: block<Credentials['google']>({
    service_account_json: optional(text(), 'Key file of a service account; read when first used.'),
    access_token: optional(secret(), 'Access token, used as it is.'),
  }),
  vertex: block<Credentials['vertex']>({
    service_account_json: optional(text(), 'Key file of a service account; read when first used.'),
  }),
  azure: anyOf(
    [
      apiKey,
      block<{ readonly use_azure_ad: true }>({
        use_azure_ad: required(exactly(true), 'Sign in with the Azure default credentials.'),
      }),
    ],
    { expected: 'exactly one of: api_key; use_azure_ad: true' },
  ),
}
