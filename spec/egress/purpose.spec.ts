import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import type { Resolve } from '../../lib/egress/guard.ts'
import { readProxies } from '../../lib/egress/proxy-environment.ts'
import { createEgresses, type ProviderSettings } from '../../lib/egress/purpose.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import { createFakeUpstream } from '../support/fake-upstream.ts'
import { createForwardProxy } from '../support/forward-proxy.ts'
import { listen } from '../support/listen.ts'

const upstream = await createFakeUpstream()
upstream.always({ body: 'ok' })
after(() => upstream.close())
const { port } = new URL(upstream.url)

const toLoopback: Resolve = (_hostname, _options, done) =>
  done(null, [{ address: '127.0.0.1', family: 4 }])

const base = { allowLoopback: true, clock: systemClock, resolve: toLoopback }

interface World {
  readonly proxy?: boolean
  readonly variable?: string
  readonly noProxy?: string
  readonly boundary?: boolean
  readonly oidc?: ProviderSettings
}

/** How each purpose reaches one host: directly, through the proxy by address, or by name. */
async function ways({
  proxy: isSet = true,
  variable = 'HTTP_PROXY',
  noProxy = '',
  boundary = false,
  oidc = {},
}: World): Promise<Record<string, string>> {
  const proxy = await createForwardProxy({ answer: () => 403 })
  const environment = isSet ? { [variable]: proxy.url, NO_PROXY: noProxy } : {}
  const { proxies } = readProxies(environment)
  const egresses = createEgresses({ ...base, proxies, proxyIsEgressBoundary: boundary }, oidc)
  const found: Record<string, string> = {}
  for (const purpose of ['upstream', 'cloud', 'service', 'provider', 'directory'] as const) {
    const asked = proxy.targets.length
    const answer = await egresses[purpose].fetch(`http://host.example:${port}/`).then(
      (response) => response.text(),
      () => null,
    )
    const target = proxy.targets[asked]
    if (target === undefined) found[purpose] = answer === 'ok' ? 'direct' : 'lost'
    else found[purpose] = target.startsWith('host.example:') ? 'by name' : 'by address'
  }
  await egresses.close()
  await proxy.close()
  return found
}

const through = (upstream_: string, cloud: string, signIn: string): Record<string, string> => ({
  upstream: upstream_,
  cloud,
  service: upstream_,
  provider: signIn,
  directory: signIn,
})

test('egress: without a proxy every purpose is direct, whatever sign-in asks for', async () => {
  const direct = through('direct', 'direct', 'direct')
  assert.deepEqual(await ways({ proxy: false }), direct)
  assert.deepEqual(await ways({ proxy: false, oidc: { use_proxy: true }, boundary: true }), direct)
})

test('egress: clouds go through the proxy by name, hosts an operator names by checked address', async () => {
  assert.deepEqual(await ways({}), through('by address', 'by name', 'direct'))
  const asked = await ways({ oidc: { use_proxy: false } })
  assert.deepEqual(asked, through('by address', 'by name', 'direct'))
})

test('egress: services beside the gateway, on plain http, take the proxy of plain http alone', async () => {
  const asked = await ways({ variable: 'HTTPS_PROXY' })
  assert.deepEqual(asked, { ...through('by address', 'by name', 'direct'), service: 'direct' })
  const only = await ways({ variable: 'HTTPS_PROXY', boundary: true })
  assert.deepEqual(only, through('by name', 'by name', 'by name'))
})

test('egress: sign-in goes through the proxy where it is asked to', async () => {
  const asked = await ways({ oidc: { use_proxy: true } })
  assert.deepEqual(asked, through('by address', 'by name', 'by address'))
})

test('egress: NO_PROXY counts for every purpose', async () => {
  const asked = await ways({ noProxy: '.example', oidc: { use_proxy: true } })
  assert.deepEqual(asked, through('direct', 'direct', 'direct'))
})

test('egress: behind a boundary nothing is resolved here, but a provider that is near', async () => {
  assert.deepEqual(await ways({ boundary: true }), through('by name', 'by name', 'by name'))
  const asked = await ways({ boundary: true, oidc: { use_proxy: true } })
  assert.deepEqual(asked, through('by name', 'by name', 'by name'))
  const near = await ways({ boundary: true, oidc: { use_proxy: false } })
  assert.deepEqual(near, through('by name', 'by name', 'direct'))
})

test('egress: authorities of the provider are trusted for it alone, in place of all others', async () => {
  const folder = `${import.meta.dirname}/../fixtures/store/tls`
  const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8')
  const tls = { cert: read('here.crt'), key: read('server.key') }
  const server = createServer(tls, (_request, response) => response.end('{}'))
  const securePort = await listen(server)
  const url = `https://localhost:${securePort}/`
  const settings = { ...base, proxies: null, proxyIsEgressBoundary: false }
  const ours = createEgresses(settings, { ca_cert_pem: read('ca.crt') })
  assert.equal((await ours.provider.fetch(url)).status, 200)
  for (const purpose of ['upstream', 'cloud', 'service', 'directory'] as const) {
    await assert.rejects(ours[purpose].fetch(url), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  }
  const others = readFileSync(`${import.meta.dirname}/../fixtures/pem/rsa.crt.pem`, 'utf8')
  const theirs = createEgresses(settings, { ca_cert_pem: others })
  await assert.rejects(theirs.provider.fetch(url), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  await Promise.all([ours.close(), theirs.close()])
  server.close()
  server.closeAllConnections()
})

test('egress: the provider’s authorities count inside a tunnel too', async () => {
  const folder = `${import.meta.dirname}/../fixtures/store/tls`
  const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8')
  const tls = { cert: read('here.crt'), key: read('server.key') }
  const server = createServer(tls, (_request, response) => response.end('{}'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await createForwardProxy()
  const { proxies } = readProxies({ https_proxy: proxy.url })
  const oidc = { ca_cert_pem: read('ca.crt'), use_proxy: true }
  const egresses = createEgresses({ ...base, proxies, proxyIsEgressBoundary: false }, oidc)
  // A TCP server's address is always of this shape; node types also cover pipes.
  const { port: securePort } = server.address() as AddressInfo
  const url = `https://localhost:${securePort}/`
  assert.equal((await egresses.provider.fetch(url)).status, 200)
  assert.deepEqual(proxy.targets, [`127.0.0.1:${securePort}`])
  await assert.rejects(egresses.directory.fetch(url), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  await egresses.close()
  await proxy.close()
  server.close()
  server.closeAllConnections()
})

test('egress: a name that turns to a forbidden address is refused for every purpose', async () => {
  for (const purpose of ['upstream', 'cloud', 'service', 'provider', 'directory'] as const) {
    let asked = 0
    const turning: Resolve = (_hostname, _options, done) =>
      done(null, [{ address: asked++ === 0 ? '127.0.0.1' : '169.254.169.254', family: 4 }])
    const settings = { ...base, resolve: turning, proxies: null, proxyIsEgressBoundary: false }
    const egresses = createEgresses(settings, {})
    const url = `http://turning.example:${port}/`
    upstream.next({ headers: ['connection', 'close'], body: 'ok' })
    assert.equal(await (await egresses[purpose].fetch(url)).text(), 'ok', purpose)
    await assert.rejects(egresses[purpose].fetch(url), { code: 'ECONNREFUSED_SSRF' }, purpose)
    assert.equal(asked, 2, 'each connection is judged by the one answer it goes to')
    await egresses.close()
  }
})
