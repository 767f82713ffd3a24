/**
 * `managed` and `cri`: what clients are told to do, and who else may judge a request. The
 * documents inside a policy are checked by settings-check.ts and desktop-check.ts, key by key;
 * here they are only blocks. Read by the configuration loader.
 */
import { filledList, list, openBlock } from '../schema/collection.ts'
import { convert } from '../schema/combine.ts'
import { block, defaulted, type Keys, optional, required } from '../schema/field.ts'
import { flag, form, groupName, text, wholeNumber } from '../schema/value.ts'
import type { Policy, PolicyMatch } from './policy.ts'

export interface CriConfig {
  readonly enabled: boolean
  readonly issuer: string
  readonly audience: readonly string[]
  readonly org_allowlist: readonly string[]
  readonly jwks_url?: string | undefined
  readonly policy: {
    readonly webhook?:
      | {
          readonly url: string
          readonly timeout_ms?: number | undefined
          readonly fail_closed: boolean
        }
      | undefined
  }
}

export interface PolicyConfig {
  readonly managed?: { readonly policies: readonly Policy[] } | undefined
  readonly cri?: CriConfig | undefined
}

/** Trimmed, without the at sign some write before a domain. */
const emailDomain = convert(
  form(/^\s*@?[^\s@,]+\s*$/, 'one bare domain such as example.com'),
  (domain) => domain.trim().replace(/^@/, ''),
)

const match = block<PolicyMatch>({
  groups: optional(filledList(groupName), 'Members of any of these groups.'),
  email_domain: optional(emailDomain, 'People with an address in this domain.'),
})

const policy = block<Policy>({
  match: optional(match, 'Whom the policy is for; left out or empty: everybody.'),
  cli: optional(openBlock, 'Managed settings of Claude Code.'),
  settings: optional(openBlock, 'Old name of cli.'),
  code: optional(openBlock, 'Managed settings of Claude Code, which Claude Desktop gets too.'),
  desktop: optional(openBlock, 'Settings of Claude Desktop.'),
  serve_to_desktop: optional(flag, 'Serve a cli block to Claude Desktop too.'),
})

const managed = block<NonNullable<PolicyConfig['managed']>>({
  policies: defaulted(list(policy), 'Policies; the first that matches a person counts.', []),
})

const webhook = block<NonNullable<CriConfig['policy']['webhook']>>({
  url: required(text(), 'Service that is asked about every request.'),
  timeout_ms: optional(
    wholeNumber(1),
    'Longest wait for its verdict, in milliseconds; left out: 2000.',
  ),
  fail_closed: defaulted(flag, 'Refuse requests when it gives no verdict.', true),
})

const uuid = form(
  /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i,
  'a UUID such as 01234567-89ab-cdef-0123-456789abcdef',
)

const cri = block<CriConfig>({
  enabled: defaulted(flag, 'Turns the block on.', false),
  issuer: defaulted(
    text(),
    'Issuer of the tokens of customer-routed callers.',
    'https://api.anthropic.com/api/oauth/cri',
  ),
  audience: defaulted(list(text()), 'Audiences accepted in these tokens.', []),
  org_allowlist: defaulted(list(uuid), 'Organizations admitted.', []),
  jwks_url: optional(text(), 'Keys of the issuer, when they are not at jwks.json below it.'),
  policy: defaulted(
    block<CriConfig['policy']>({ webhook: optional(webhook, 'A webhook that judges requests.') }),
    'Judgement of requests by others.',
    {},
  ),
})

export const policyKeys: Keys<PolicyConfig> = {
  managed: optional(managed, 'Settings that the gateway hands to clients.'),
  cri: optional(cri, 'Customer-routed inference.'),
}
