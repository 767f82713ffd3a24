import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { at, parseManifests, type Manifest } from '../support/manifests.ts'

// No container engine runs where these specs run: what the files say to each other is checked.
const folder = join(import.meta.dirname, '..', '..', 'deploy', 'compose')
const read = (name: string): Manifest => {
  const [document, ...more] = parseManifests(readFileSync(join(folder, name), 'utf8'))
  assert.ok(document !== undefined && more.length === 0)
  return document
}
const compose = read('compose.yaml')
const dex = read('dex.yaml')
const services = Object.entries(Object(compose['services']))

test('deploy compose: every service, network and file that is named is there', () => {
  const names = services.map(([name]) => name)
  assert.deepEqual(names, ['postgres', 'identity-provider', 'gateway'])
  for (const [name, service] of services) {
    const mode = at(service, 'network_mode')
    if (typeof mode === 'string') assert.ok(names.includes(mode.replace(/^service:/, '')), name)
    for (const other of Object.keys(Object(at(service, 'depends_on')))) {
      assert.ok(names.includes(other), `${name} depends on ${other}`)
      assert.notEqual(at(services.find(([each]) => each === other)?.[1], 'healthcheck'), undefined)
    }
    const volumes = at(service, 'volumes')
    for (const volume of Array.isArray(volumes) ? volumes.map(String) : []) {
      const source = volume.replace(/^\.\/\$\{GATEWAY_CONFIG:-(.*?)\}/, './$1').split(':')[0] ?? ''
      if (source.startsWith('./')) assert.ok(existsSync(join(folder, source)), source)
      else assert.ok(Object.hasOwn(Object(compose['volumes']), source), source)
    }
  }
  assert.ok(
    existsSync(
      join(folder, String(at(compose, 'services', 'gateway', 'build', 'context')), 'Containerfile'),
    ),
  )
})

test('deploy compose: nothing is published beyond the loopback of the machine', () => {
  const published = services.flatMap(([, service]) => {
    const ports = at(service, 'ports')
    return Array.isArray(ports) ? ports.map(String) : []
  })
  assert.deepEqual(published, ['127.0.0.1:8080:8080', '127.0.0.1:5556:5556'])
})

test('deploy compose: gateway and provider agree on issuer, client, secret and redirect URI', () => {
  const [client] = Object.values(Object(dex['staticClients']))
  for (const name of ['gateway.yaml', 'gateway.with-key.yaml']) {
    const config = read(name)
    assert.equal(at(config, 'oidc', 'issuer'), dex['issuer'])
    assert.equal(at(config, 'oidc', 'client_id'), at(client, 'id'))
    assert.equal(at(config, 'oidc', 'client_secret'), at(client, 'secret'))
    assert.deepEqual(at(client, 'redirectURIs'), [
      `${String(at(config, 'listen', 'public_url'))}/oauth/callback`,
    ])
    const database = new URL(String(at(config, 'store', 'postgres_url')))
    const environment = at(compose, 'services', 'postgres', 'environment')
    assert.equal(database.username, at(environment, 'POSTGRES_USER'))
    assert.equal(database.password, at(environment, 'POSTGRES_PASSWORD'))
    assert.equal(database.pathname, `/${String(at(environment, 'POSTGRES_DB'))}`)
  }
})

test('deploy compose: the gateway has no rights and the time to drain', () => {
  const gateway = at(compose, 'services', 'gateway')
  assert.equal(at(gateway, 'read_only'), true)
  assert.deepEqual(at(gateway, 'cap_drop'), ['ALL'])
  const drainMs = Number(at(gateway, 'environment', 'CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS'))
  const grace = Number.parseInt(String(at(gateway, 'stop_grace_period')), 10)
  assert.ok(grace >= drainMs / 1000 + 5)
})

test('deploy compose: answers are canned unless another configuration is asked for', () => {
  assert.equal(at(read('gateway.yaml'), 'load_test_mode', 'enabled'), true)
  assert.equal(at(read('gateway.with-key.yaml'), 'load_test_mode'), undefined)
})
