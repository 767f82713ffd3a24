/** `managed` and `cri`: matchers, blocks that exclude each other, documents, addresses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkCri, checkManaged } from '../../lib/policy/config-check.ts'
import { policyKeys } from '../../lib/policy/config.ts'
import { loadWith } from '../config/load.ts'

const policies = (...entries: readonly object[]) => loadWith({ managed: { policies: entries } })
const problemsOf = (...entries: readonly object[]): string =>
  policies(...entries).problems.join('\n')

test('policy config: documents are handed over as they stand', () => {
  assert.deepEqual(Object.keys(policyKeys), ['managed', 'cri'])
  const cli = { env: { A: 1, B: null }, permissions: { zzz: [1, { a: '2' }] } }
  const { managed } = policies({ match: { groups: ['a'] }, cli }, { desktop: {} }).config()
  assert.deepEqual(managed?.policies, [{ match: { groups: ['a'] }, cli }, { desktop: {} }])
})

test('policy config: a domain loses blanks and one at sign', () => {
  const domain = (email_domain: string) =>
    policies({ match: { email_domain } }).config().managed?.policies[0]?.match?.email_domain
  assert.equal(domain('@example.com'), 'example.com')
  assert.equal(domain(' Example.com '), 'Example.com')
})

test('policy config: a domain is one and bare', () => {
  for (const email_domain of [
    '',
    '@',
    'a@example.com',
    '@@a.com',
    'a b',
    'a.com,b.com',
    ['a.com'],
  ]) {
    assert.match(
      problemsOf({ match: { email_domain } }),
      /^managed\.policies\.0\.match\.email_domain: expected one bare domain/,
      String(email_domain),
    )
  }
})

test('policy config: groups are a list of names', () => {
  for (const groups of [[], [''], ['a', ' '], 'a', [5]]) {
    assert.match(problemsOf({ match: { groups } }), /^managed\.policies\.0\.match\.groups/)
  }
  assert.match(
    problemsOf({ match: { group: ['a'] } }),
    /unknown key "group"; did you mean groups\?$/,
  )
})

test('policy config: a block is a block', () => {
  for (const name of ['cli', 'code', 'settings', 'desktop']) {
    for (const value of [[], null, 'x', 5]) {
      assert.match(
        problemsOf({ [name]: value }),
        new RegExp(`^managed\\.policies\\.0\\.${name}: expected a block`),
      )
    }
  }
  assert.match(problemsOf({ serve_to_desktop: 'yes' }), /serve_to_desktop: expected true or false/)
})

test('policy check: code stands neither beside cli or settings, nor in another policy than them', () => {
  for (const name of ['cli', 'settings']) {
    assert.match(
      problemsOf({ code: {}, [name]: {} }),
      new RegExp(
        `^managed\\.policies\\.0\\.${name}: expected either code or ${name} in one policy`,
      ),
    )
    assert.match(
      problemsOf({ match: { groups: ['a'] }, [name]: {} }, { code: {} }),
      new RegExp(
        `^managed\\.policies\\.0\\.${name}: expected code in every policy, as in managed\\.policies\\.1`,
      ),
    )
  }
  assert.equal(problemsOf({ match: { groups: ['a'] }, code: {} }, { code: {} }), '')
  assert.equal(problemsOf({ settings: {}, cli: {} }), '')
})

test('policy check: every document is checked, with its place', () => {
  const said = problemsOf(
    { match: { groups: ['a'] }, cli: { availableModel: [] } },
    { settings: { env: 5 }, desktop: { bootstrapUrl: 'https://x' } },
  )
  for (const path of [
    'managed.policies.0.cli.availableModel',
    'managed.policies.1.settings.env',
    'managed.policies.1.desktop.bootstrapUrl',
  ]) {
    assert.ok(said.includes(`${path}: `), `${path} in ${said}`)
  }
  assert.match(said, /did you mean availableModels/)
})

test('policy check: a setting the gateway does not know may be allowed by name', () => {
  const changes = { managed: { policies: [{ cli: { newerSetting: true } }] } }
  assert.equal(loadWith(changes).problems.length, 1)
  const allowed = loadWith({ ...changes, extensions: { settings: { allow: ['newerSetting'] } } })
  assert.deepEqual(allowed.problems, [])
})

test('policy check: a value out of the environment is not shown, whatever the check says', () => {
  const { problems } = loadWith(
    { managed: { policies: [{ cli: { permissions: { deny: ['${RULE}'] } } }] } },
    { environment: { RULE: '(((hunter22' } },
  )
  assert.equal(problems.length, 1)
  assert.doesNotMatch(problems.join(), /hunter22/)
})

const cri = (keys: object) =>
  loadWith({
    cri: {
      enabled: true,
      audience: ['x'],
      org_allowlist: ['01234567-89ab-cdef-0123-456789abcdef'],
      ...keys,
    },
  })

test('cri: enabled it needs an audience and an organization', () => {
  assert.deepEqual(cri({}).problems, [])
  assert.deepEqual(
    loadWith({ cri: { enabled: true } }).problems.map((line) => line.split(',')[0]),
    [
      'cri.audience: expected at least one entry while cri.enabled is true',
      'cri.org_allowlist: expected at least one entry while cri.enabled is true',
    ],
  )
  assert.match(
    cri({ org_allowlist: ['x'] }).problems.join(),
    /^cri\.org_allowlist\.0: expected a UUID/,
  )
})

test('cri: a block that is not enabled says that it does nothing', () => {
  assert.deepEqual(loadWith({ cri: {} }).warnings, [
    'cri: does nothing while cri.enabled is not true',
  ])
  assert.match(cri({}).warnings.join(), /customer-routed callers are not supported/)
})

test('cri: it does not replace the identity provider', () => {
  const { problems } = loadWith({
    oidc: undefined,
    cri: {
      enabled: true,
      audience: ['x'],
      org_allowlist: ['01234567-89ab-cdef-0123-456789abcdef'],
    },
  })
  assert.match(problems.join(), /^oidc: expected a block with issuer, client_id, found nothing$/)
})

test('cri: addresses are https, or http on loopback, and no metadata host', () => {
  const webhook = (url: string) => cri({ policy: { webhook: { url } } }).problems.join()
  for (const url of ['http://x.example', 'nope', 'ftp://x']) {
    assert.match(webhook(url), /^cri\.policy\.webhook\.url: expected an https:\/\/ URL, or http/)
    assert.match(cri({ issuer: url }).problems.join(), /^cri\.issuer: expected an https/)
    assert.match(cri({ jwks_url: url }).problems.join(), /^cri\.jwks_url: expected an https/)
  }
  assert.match(webhook('https://169.254.169.254'), /a metadata address/)
  for (const url of ['https://x.example/p', 'http://127.0.0.1:1', 'http://localhost:1']) {
    assert.equal(webhook(url), '')
  }
})

test('cri: the issuer is spelled as the tokens spell it', () => {
  for (const issuer of ['https://x.example/a/', 'https://x.example/a?b', 'https://x.example/a#b']) {
    assert.match(
      cri({ issuer }).problems.join(),
      /without query, fragment or trailing slash/,
      issuer,
    )
  }
})

test('cri: the webhook has bounds and fails closed by default', () => {
  const { cri: block } = cri({ policy: { webhook: { url: 'https://x.example' } } }).config()
  assert.deepEqual(block?.policy.webhook, { url: 'https://x.example', fail_closed: true })
  assert.match(
    cri({ policy: { webhook: { url: 'https://x.example', timeout_ms: 0 } } }).problems.join(),
    /^cri\.policy\.webhook\.timeout_ms: expected a whole number of at least 1/,
  )
})

test('policy check: it is quiet about what could not be read', () => {
  const report = { error: () => assert.fail(), warn: () => assert.fail() }
  checkManaged({}, [], report)
  checkManaged({ policies: [undefined, {}] }, [], report)
  const said: string[] = []
  const facts = {
    environment: {},
    allowLoopback: false,
    now: 0,
    isSet: () => true,
    readFile: () => assert.fail(),
    note: () => assert.fail(),
  }
  checkCri({}, facts, { error: () => assert.fail(), warn: (_, text) => void said.push(text) })
  assert.equal(said.length, 1)
})
