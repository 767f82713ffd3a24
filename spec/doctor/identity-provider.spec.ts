import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { systemClock } from '../../lib/kernel/clock.ts'
import { askDoctor, assertOk, assertProblem } from '../support/doctor.ts'
import {
  startIdentityProvider,
  type Behaviour,
  type Endpoint,
} from '../support/identity-provider.ts'

const provider = await startIdentityProvider({ after })
const client = { issuer: provider.issuer, client_id: 'gateway', client_secret: 'gateway-secret' }
const ask = (oidc: object = {}, more: Partial<Parameters<typeof askDoctor>[0]> = {}) =>
  askDoctor({ ...more, config: { oidc: { ...client, ...oidc }, ...more.config } })

afterEach(() => {
  for (const endpoint of ['discovery', 'jwks', 'token', 'authorization'] as const) {
    provider.misbehave(endpoint, null)
  }
})

function answerWith(endpoint: Endpoint, body: string, status = 200): void {
  const behaviour: Behaviour = { kind: 'answer', status, body }
  provider.misbehave(endpoint, behaviour)
}

test('doctor identity provider: a good registration is taken without signing anybody in', async () => {
  const findings = await ask()
  assertOk(findings, 'IdP discovery', /127\.0\.0\.1/)
  assertOk(findings, 'IdP keys', /key\(s\)/)
  assertOk(findings, 'IdP redirect URI', /answers at http:\/\/localhost:9\/oauth\/callback/)
  assertOk(findings, 'IdP client credentials', /taken/)
  assertOk(findings, 'clock beside the IdP', /0\.\d s|1\.\d s/)
})

test('doctor identity provider: a redirect URI that is not registered fails with the one to register', async () => {
  const findings = await ask(
    {},
    {
      config: { listen: { host: '127.0.0.1', port: 0, public_url: 'https://new.example.com' } },
      resolve: () => Promise.resolve(['10.0.0.1']),
    },
  )
  assertProblem(findings, 'IdP redirect URI', {
    result: 'fail',
    seen: /does not know https:\/\/new\.example\.com\/oauth\/callback/,
    fix: /register exactly https:\/\/new\.example\.com\/oauth\/callback/,
  })
})

test('doctor identity provider: a wrong secret is found without a person', async () => {
  assertProblem(await ask({ client_secret: 'stale' }), 'IdP client credentials', {
    result: 'fail',
    seen: /invalid_client/,
    fix: /oidc\.client_secret/,
  })
})

test('doctor identity provider: an unknown client is told', async () => {
  assertProblem(await ask({ client_id: 'nobody' }), 'IdP redirect URI', {
    result: 'fail',
    seen: /does not know the client/,
    fix: /oidc\.client_id/,
  })
})

test('doctor identity provider: another issuer in the document is told with what to set', async () => {
  const document = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).text()
  const renamed = JSON.stringify({ ...JSON.parse(document), issuer: 'https://renamed.example.com' })
  answerWith('discovery', renamed)
  assertProblem(await ask(), 'IdP discovery', {
    result: 'warn',
    seen: /renamed\.example\.com/,
    fix: /set oidc\.issuer to exactly that/,
  })
})

test('doctor identity provider: no document, no keys and garbage each fail', async () => {
  answerWith('discovery', 'not json')
  assertProblem(await ask(), 'IdP discovery', {
    result: 'fail',
    seen: /not a JSON object/,
    fix: /oidc\.issuer/,
  })
  provider.misbehave('discovery', null)
  answerWith('jwks', '{"keys":[]}')
  assertProblem(await ask(), 'IdP keys', { result: 'fail', seen: /empty/, fix: /no id_token/ })
  answerWith('jwks', 'gone', 404)
  assertProblem(await ask(), 'IdP keys', { result: 'fail', seen: /404/, fix: /no id_token/ })
})

test('doctor identity provider: a clock that is wrong fails with the way to mend it', async () => {
  const clock = { ...systemClock, now: () => Date.now() - 120_000 }
  assertProblem(await ask({}, { clock }), 'clock beside the IdP', {
    result: 'fail',
    seen: /1[12]\d\.\d s behind/,
    fix: /oidc\.clock_skew_seconds/,
  })
})

test('doctor identity provider: the certificate of client_assertion is watched', async () => {
  const fixture = (name: string): string =>
    readFileSync(join(import.meta.dirname, '../fixtures/identity', name), 'utf8')
  const oidc = {
    client_secret: undefined,
    token_endpoint_auth_method: 'private_key_jwt',
    client_assertion: {
      private_key_pem: fixture('client-assertion.key.pem'),
      certificate_pem: fixture('client-assertion.cert.pem'),
    },
  }
  assertOk(await ask(oidc), 'oidc.client_assertion', /valid until 2126-/)
  const clock = { ...systemClock, now: () => Date.parse('2190-01-01') }
  assertProblem(await ask(oidc, { clock }), 'oidc.client_assertion', {
    result: 'fail',
    seen: /EXPIRED/,
    fix: /register the certificate at the provider/,
  })
})
