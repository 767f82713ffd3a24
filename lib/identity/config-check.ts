/**
 * What the schema of sign-in cannot say: keys that go together, credentials that must be usable,
 * addresses that may not be named, and settings that weaken it. Called by the configuration
 * loader; never puts a secret into a text.
 */
import { checkHost } from '../egress/config.ts'
import type { ConfigReport } from '../kernel/report.ts'
import { parseCertificates } from '../schema/certificate.ts'
import { type ConfigFacts, fileProblem } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import { isWeakSecret } from '../schema/weak-secret.ts'
import { checkClientAssertion } from './client-assertion-check.ts'
import type { OidcConfig, SignInConfig } from './config.ts'
import { parseGoogleKey } from './google-key.ts'
import { warnAboutProxy } from './proxy-check.ts'

type Oidc = Loose<OidcConfig>

/** Parameters of the authorization request that the gateway makes itself. */
const ownParameter =
  /^(?:redirect_uri|state|nonce|code_challenge.*|scope|response_type|response_mode|client_id)$/

/** Beyond a working day a stolen session outlives the shift it was stolen in. */
const longSessionHours = 24

export function checkSignIn(
  { oidc, session }: Loose<SignInConfig>,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  if (oidc !== undefined) checkOidc(oidc, facts, report)
  if (session !== undefined) checkSession(session, report)
}

function checkOidc(oidc: Oidc, facts: ConfigFacts, report: ConfigReport): void {
  checkHost(oidc.issuer, ['oidc', 'issuer'], facts, report)
  checkHost(oidc.discovery_url, ['oidc', 'discovery_url'], facts, report)
  for (const [index, origin] of (oidc.form_action_origins ?? []).entries()) {
    // Browsers go there, not the gateway: only a metadata address can never be meant.
    const path = ['oidc', 'form_action_origins', index]
    checkHost(origin, path, { allowLoopback: true }, report)
  }
  checkClientCredentials(oidc, facts, report)
  checkGoogleGroups(oidc, facts, report)
  for (const name of Object.keys(oidc.extra_auth_params ?? {})) {
    if (ownParameter.test(name)) {
      report.error(['oidc', 'extra_auth_params', name], {
        expected: 'only parameters that the gateway does not set itself',
        found: name,
      })
    }
  }
  if (oidc.ca_cert_pem !== undefined) {
    const parsed = parseCertificates(oidc.ca_cert_pem)
    if (parsed.kind === 'bad') {
      report.error(['oidc', 'ca_cert_pem'], {
        expected: 'at least one PEM certificate, as text',
        found: parsed.found,
      })
    }
  }
  warnAboutProxy(oidc, facts, report)
}

function checkClientCredentials(oidc: Oidc, facts: ConfigFacts, report: ConfigReport): void {
  const { client_secret, client_assertion, token_endpoint_auth_method } = oidc
  const isSet = (name: string): boolean => facts.isSet(['oidc', name])
  if (token_endpoint_auth_method !== 'private_key_jwt') {
    // With a method that was not understood it is unknown what goes with it.
    if (isSet('token_endpoint_auth_method') && token_endpoint_auth_method === undefined) return
    if (!isSet('client_secret')) {
      report.error(['oidc', 'client_secret'], {
        expected: 'a secret, unless token_endpoint_auth_method is private_key_jwt',
      })
    }
    if (client_assertion !== undefined) {
      report.error(['oidc', 'client_assertion'], {
        expected: 'no such block, unless token_endpoint_auth_method is private_key_jwt',
      })
    }
    return
  }
  if (client_secret !== undefined) {
    report.error(['oidc', 'client_secret'], {
      expected: 'no client_secret beside private_key_jwt',
    })
  }
  if (!isSet('client_assertion')) {
    report.error(['oidc', 'client_assertion'], {
      expected: 'a block with private_key_pem, certificate_pem, for private_key_jwt',
    })
  } else if (client_assertion !== undefined) {
    checkClientAssertion(client_assertion, facts, report)
  }
}

function checkGoogleGroups(oidc: Oidc, facts: ConfigFacts, report: ConfigReport): void {
  const file = oidc.google_groups?.service_account_json_path
  if (file === undefined) return
  const complain = (found: string): void =>
    report.error(['oidc', 'google_groups', 'service_account_json_path'], {
      expected: 'the key file of a service account, as JSON',
      found: `${file}: ${found}`,
    })
  let text: string
  try {
    text = Buffer.from(facts.readFile(file)).toString('utf8')
  } catch (error) {
    // Reported like every other mistake in the file.
    complain(fileProblem(error))
    return
  }
  const key = parseGoogleKey(text)
  if (key.kind === 'bad') return complain(key.found)
  facts.note(
    `oidc: groups are read from Google Workspace by ${key.value.client_email} for ${oidc.google_groups?.admin_email ?? '(unset)'}`,
  )
  if (facts.isSet(['oidc', 'groups_claim'])) {
    report.warn(['oidc', 'groups_claim'], 'has no effect beside oidc.google_groups')
  }
}

function checkSession(session: Loose<SignInConfig['session']>, report: ConfigReport): void {
  const secrets = session.jwt_secret ?? []
  // One secret may stand there without a list.
  const path = (index: number): (string | number)[] =>
    secrets.length === 1 ? ['session', 'jwt_secret'] : ['session', 'jwt_secret', index]
  for (const [index, secret] of secrets.entries()) {
    if (secret === undefined) continue
    if (isWeakSecret(secret)) {
      report.warn(path(index), 'is easy to guess; make one with: openssl rand -hex 32')
    }
    if (secrets.indexOf(secret) < index) {
      report.warn(path(index), 'repeats an earlier secret of the list, so nothing is rotated')
    }
  }
  if (session.ttl_hours !== undefined && session.ttl_hours > longSessionHours) {
    report.warn(
      ['session', 'ttl_hours'],
      `is above ${longSessionHours}: people who leave keep their access that long`,
    )
  }
}
