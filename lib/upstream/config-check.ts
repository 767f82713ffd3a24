/**
 * What the schema of `upstreams` cannot say: names that must differ, keys of several upstreams
 * that exclude each other, hosts that may not be called, and settings that boot but surprise.
 * Called by the configuration loader.
 */
import { checkHost } from '../egress/config.ts'
import type { ConfigReport, KeyPath } from '../kernel/report.ts'
import { nearest } from '../kernel/spelling.ts'
import { type ConfigFacts, fileProblem } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import type { RoutingConfig, RoutingExtensions, UpstreamConfig } from './config.ts'
import { checkHeaders } from './headers-check.ts'

type Upstream = Loose<UpstreamConfig>
type Upstreams = readonly (Upstream | undefined)[]

export function checkRouting(
  { upstreams = [], load_test_mode }: Loose<RoutingConfig>,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  for (const [index, upstream] of upstreams.entries()) {
    if (upstream === undefined) continue
    const path = ['upstreams', index]
    checkHost(upstream.base_url, [...path, 'base_url'], facts, report)
    checkHeaders(upstream.headers ?? {}, [...path, 'headers'], report)
    checkProvider(upstream, path, facts, report)
    checkIdentityForwarding(upstream, path, report)
  }
  checkNames(upstreams, report)
  checkGuardrails(upstreams, facts, report)
  if (load_test_mode?.enabled === true) {
    report.warn(
      ['load_test_mode', 'enabled'],
      'load_test_mode is on: every answer is made up, no upstream is asked',
    )
  }
}

/** `extensions.upstreams` names upstreams; a name that is none would silently do nothing. */
export function checkRoutingExtensions(
  extensions: Loose<RoutingExtensions>,
  upstreams: Upstreams | undefined,
  report: ConfigReport,
): void {
  const names = upstreamNames(upstreams)
  if (names === null) return
  for (const name of Object.keys(extensions.upstreams ?? {})) {
    if (names.includes(name)) continue
    report.error(['extensions', 'upstreams', name], {
      expected: `the name of an upstream (${names.join(', ')})`,
      found: `the name ${JSON.stringify(name)}`,
      nearest: nearest(name, names),
    })
  }
}

/** The names of all upstreams, or null while one of them is in doubt. */
export function upstreamNames(upstreams: Upstreams | undefined): readonly string[] | null {
  const names: string[] = []
  for (const upstream of upstreams ?? [undefined]) {
    const name = upstream?.name
    if (name === undefined) return null
    names.push(name)
  }
  return names
}

function checkNames(upstreams: Upstreams, report: ConfigReport): void {
  const first = new Map<string, number>()
  for (const [index, upstream] of upstreams.entries()) {
    const name = upstream?.name
    if (name === undefined) continue
    const earlier = first.get(name)
    if (earlier === undefined) first.set(name, index)
    else {
      report.error(['upstreams', index, 'name'], {
        expected: 'a name of its own',
        found: `${JSON.stringify(name)}, which is the name of upstreams.${earlier} too`,
      })
    }
  }
}

function checkGuardrails(upstreams: Upstreams, { isSet }: ConfigFacts, report: ConfigReport): void {
  // Set counts, even when its inside is wrong: that is reported by itself.
  const guarded = (upstream: Upstream | undefined, index: number): boolean =>
    upstream?.provider === 'bedrock' && isSet(['upstreams', index, 'guardrail'])
  const first = upstreams.findIndex(guarded)
  if (first === -1) return
  for (const [index, upstream] of upstreams.entries()) {
    if (upstream?.provider === 'bedrock' && !guarded(upstream, index)) {
      report.error(['upstreams', index, 'guardrail'], {
        expected: `a guardrail on every bedrock upstream, as on upstreams.${first}, or on none`,
      })
    }
    if (upstream?.provider === 'mantle') {
      report.error(['upstreams', index, 'provider'], {
        expected: `no mantle upstream beside the guardrail of upstreams.${first}, which would not apply to it`,
      })
    }
  }
}

function checkProvider(
  upstream: Upstream,
  path: KeyPath,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  const at = (...keys: string[]): KeyPath => [...path, ...keys]
  switch (upstream.provider) {
    case 'anthropic': {
      const { auth } = upstream
      const file = auth && 'identity_token_file' in auth ? auth.identity_token_file : undefined
      warnAboutFile(file, at('auth', 'identity_token_file'), facts, report)
      return
    }
    case 'bedrock':
      if (upstream.assume_role !== undefined && upstream.auth?.aws_bearer_token !== undefined) {
        report.error(at('assume_role'), {
          expected: 'no assume_role beside aws_bearer_token, which signs nothing',
        })
      }
      return
    case 'vertex':
      warnAboutFile(
        upstream.auth?.service_account_json,
        at('auth', 'service_account_json'),
        facts,
        report,
      )
      report.warn(at('provider'), 'on vertex Claude Sonnet 4.5 and 4 have no context of 1M tokens')
      return
    case 'anthropicGoogleCloud':
      warnAboutFile(
        upstream.auth?.service_account_json,
        at('auth', 'service_account_json'),
        facts,
        report,
      )
      if (!facts.isSet(at('base_url'))) {
        report.warn(
          at('provider'),
          'has no default address: without base_url every request to this upstream fails',
        )
      }
      return
    case 'mantle':
    case 'anthropicAws':
    case 'foundry':
    case undefined:
      return
  }
}

/** Credentials files may appear after boot, so a missing one only warns. */
function warnAboutFile(
  file: string | undefined,
  path: KeyPath,
  { readFile }: ConfigFacts,
  report: ConfigReport,
): void {
  if (file === undefined) return
  try {
    readFile(file)
  } catch (error) {
    // Reading was only a try: what is used later is read again then.
    report.warn(path, `${file}: ${fileProblem(error)}; requests fail until it can be read`)
  }
}

function checkIdentityForwarding(upstream: Upstream, path: KeyPath, report: ConfigReport): void {
  if (upstream.provider !== 'anthropic' || upstream.forward_user_identity !== true) return
  const keyPath = [...path, 'forward_user_identity']
  const host = URL.parse(upstream.base_url ?? 'https://api.anthropic.com')?.hostname ?? ''
  if (/(?:^|\.)anthropic\.com\.?$/.test(host)) {
    report.error(keyPath, {
      expected: 'false for Anthropic itself, which has no use for the identity of your people',
    })
    return
  }
  report.warn(keyPath, `sends the subject and email address of every caller to ${host}`)
}
