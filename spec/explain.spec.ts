import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { loadConfig } from '../lib/config.ts'
import { explain, formatExplanation } from '../lib/explain.ts'
import { createDatabase } from './support/database.ts'

const folder = mkdtempSync(join(tmpdir(), 'gateway-explain-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'gateway.yaml')
const file = {
  listen: { public_url: 'https://gateway.example.com' },
  oidc: { issuer: 'https://idp.example.com', client_id: 'c', client_secret: 's' },
  session: { jwt_secret: '0123456789abcdef0123456789abcdef' },
  store: { postgres_url: 'postgres://u:p@db.example/gateway' },
  upstreams: [
    { provider: 'anthropic', name: 'first', auth: { api_key: 'k' }, models: ['claude-haiku-*'] },
    {
      provider: 'vertex',
      name: 'cloud',
      project_id: 'p',
      region: 'global',
      auth: {},
      groups: ['eng'],
    },
  ],
  managed: {
    policies: [
      { match: { groups: ['contractors'] }, cli: { availableModels: ['haiku'] } },
      { match: { email_domain: 'example.org' }, cli: {}, desktop: {} },
      { match: { groups: ['eng', 'ops'] }, cli: { permissions: { deny: ['WebFetch'] } } },
    ],
  },
}

function load(yaml: object) {
  writeFileSync(path, JSON.stringify(yaml))
  const loaded = loadConfig({ path, environment: {}, now: 0 })
  assert.ok(loaded.kind === 'ok', JSON.stringify(loaded))
  return loaded.config
}

test('explain: names the policy that fits, and what speaks against those before it', async () => {
  const told = await explain(load(file), { email: 'a@Example.com', groups: ['ops'] })
  assert.deepEqual(
    told.policies.map(({ index, fits, why }) => [index, fits, why]),
    [
      [0, false, 'in none of its groups (contractors)'],
      [1, false, 'the email domain is example.com, not example.org'],
      [2, true, 'fits, and is the first that does'],
    ],
  )
  assert.deepEqual(told.settings?.document, { permissions: { deny: ['WebFetch'] } })
  assert.match(told.settings?.checksum ?? '', /^sha256:[0-9a-f]{64}$/)
  assert.match(told.desktopRefusal ?? '', /does not opt into desktop/)
})

test('explain: says what the matcher says, whatever the email looks like', async () => {
  const policies = [
    { match: { email_domain: 'example.org' }, cli: { model: 'a' } },
    { match: { groups: ['eng'], email_domain: 'Example.COM' }, cli: { model: 'b' } },
  ]
  const config = load({ ...file, managed: { policies } })
  const told = async (email: string | undefined, ...groups: string[]) => {
    const { policies: judged, settings } = await explain(config, { email, groups })
    // What is said of policies and what is served cannot differ.
    assert.equal(
      judged.some(({ fits }) => fits),
      settings !== null,
      email,
    )
    return judged.map(({ why }) => why)
  }
  const fits = 'fits, and is the first that does'
  // A text without an at sign is no address, so it has no domain, even if it spells one.
  for (const email of ['example.org', '', undefined]) {
    assert.deepEqual(await told(email), [
      'the email domain is unknown, not example.org',
      'in none of its groups (eng); the email domain is unknown, not Example.COM',
    ])
  }
  assert.deepEqual(await told('a@b@EXAMPLE.org'), [fits])
  assert.deepEqual(await told('a@example.com', 'eng'), [
    'the email domain is example.com, not example.org',
    fits,
  ])
  assert.deepEqual(await told('a@example.com'), [
    'the email domain is example.com, not example.org',
    'in none of its groups (eng)',
  ])
})

test('explain: models are those the policy admits and an upstream serves this person', async () => {
  const outside = await explain(load(file), { email: undefined, groups: ['contractors', 'eng'] })
  assert.ok(outside.models.length > 0)
  assert.ok(outside.models.every(({ id }) => id.includes('haiku')))
  assert.match(outside.models[0]?.upstreams.join() ?? '', /^first \(claude-haiku.*,cloud \(/)
  const ops = await explain(load(file), { email: undefined, groups: ['ops'] })
  assert.ok(ops.models.every(({ upstreams }) => upstreams.length === 1))
})

test('explain: nobody fits, and Claude Desktop is told apart', async () => {
  const nobody = await explain(load(file), { email: 'x@nowhere', groups: [] })
  assert.equal(nobody.settingsRefusal, 'no policy matched')
  assert.match(formatExplanation(nobody), /Managed settings\n {2}404 no policy matched\n/)
  const desktop = await explain(load(file), { email: 'x@EXAMPLE.ORG', groups: [] })
  assert.equal(desktop.desktopRefusal, null)
  assert.match(formatExplanation(desktop), /"inferenceProvider": "gateway"/)
})

const run = promisify(execFile)
const gateway = (...args: string[]) =>
  run(process.execPath, ['bin/gateway.ts', ...args], {
    env: { PATH: process.env['PATH'], HOME: folder },
  })

test('explain: the command prints it, as text and as JSON, and refuses a file with mistakes', async () => {
  load(file)
  const args = ['explain', '--config', path, '--email', 'a@b.c', '--groups', 'eng']
  const { stdout } = await gateway(...args)
  assert.match(stdout, /^a@b\.c, groups eng\n[^]*→ managed\.policies\.2 /)
  const { stdout: json } = await gateway(...args, '--json')
  const told: { policies: unknown[] } = JSON.parse(json)
  assert.equal(told.policies.length, 3)
  // Nobody fits: it is explained all the same.
  assert.match((await gateway('explain', '--config', path)).stdout, /404 no policy matched/)
  writeFileSync(path, '{"listn":{}}')
  await assert.rejects(gateway(...args), { code: 1, stderr: /listn/ })
  await assert.rejects(gateway('explain', '--config', `${path}.none`), { code: 1 })
})

test('forget: the command says what it removed, and why it could not', async () => {
  const database = await createDatabase()
  await database.query('CREATE TABLE principal_emails (principal text)')
  await database.query(`INSERT INTO principal_emails VALUES ('u-1')`)
  await database.query('CREATE TABLE principal_groups (principal text)')
  await database.query('CREATE TABLE spend (principal text)')
  await database.query('CREATE TABLE spend_limits (scope_type text, scope_id text)')
  await database.query('CREATE TABLE admin_audit (actor text, before jsonb, after jsonb)')
  load({ ...file, store: { postgres_url: database.url } })
  const args = ['forget', '--config', path, '--principal', 'u-1']
  const { stdout } = await gateway(...args)
  assert.match(stdout, /removed from principal_emails .*: 1 row\n/)
  await database.query('DROP TABLE principal_groups')
  await assert.rejects(gateway(...args), /nothing was removed: .*principal_groups/)
})
