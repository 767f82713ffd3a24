import { test } from 'node:test'
import { askDoctor, assertOk, assertProblem } from '../support/doctor.ts'

const check = 'address of public_url'
const publicUrl = 'https://gw.example.com'
const resolvesTo =
  (...addresses: string[]) =>
  (): Promise<readonly string[]> =>
    Promise.resolve(addresses)
const ask = (resolve: () => Promise<readonly string[]>, config = {}) =>
  askDoctor({
    config: { listen: { host: '0.0.0.0', port: 0, public_url: publicUrl }, ...config },
    resolve,
  })

test('doctor addresses: a private public_url is what clients want', async () => {
  assertOk(await ask(resolvesTo('10.1.2.3', 'fd00::7')), check, /10\.1\.2\.3, fd00::7: private/)
  assertOk(await ask(resolvesTo('100.64.0.9')), check, /private/)
})

test('doctor addresses: a public one warns of the clients that refuse it', async () => {
  assertProblem(await ask(resolvesTo('10.1.2.3', '203.0.113.7')), check, {
    result: 'warn',
    seen: /203\.0\.113\.7 is public/,
    fix: /gatewayInternalNetworks/,
  })
})

test('doctor addresses: loopback fails, because developers would ask themselves', async () => {
  assertProblem(await ask(resolvesTo('127.0.1.1')), check, {
    result: 'fail',
    seen: /127\.0\.1\.1: loopback/,
    fix: /ask themselves/,
  })
})

test('doctor addresses: a name that nobody knows fails with the record to make', async () => {
  const unknown = (): Promise<never> =>
    Promise.reject(
      Object.assign(new Error('getaddrinfo ENOTFOUND gw.example.com'), { code: 'ENOTFOUND' }),
    )
  assertProblem(await ask(unknown), check, {
    result: 'fail',
    seen: /ENOTFOUND/,
    fix: /create a DNS record for gw\.example\.com/,
  })
})

test('doctor addresses: hosts that lead to a metadata service are refused as the guard does', async () => {
  const findings = await ask(resolvesTo('169.254.169.254'), {
    telemetry: { forward_to: [{ url: 'https://collector.example.com' }] },
  })
  assertProblem(findings, 'DNS telemetry.forward_to[0]', {
    result: 'fail',
    seen: /a metadata address, which the gateway never connects to/,
    fix: /address of the service/,
  })
})

test('doctor addresses: a database may be anywhere, and a proxy resolves what it is for', async () => {
  const findings = await askDoctor({
    config: {
      store: { postgres_url: 'postgres://db.example.com/x', connect_timeout_seconds: 1 },
      upstreams: [
        {
          provider: 'foundry',
          resource: 'res',
          base_url: 'https://res.example.com',
          auth: { api_key: 'k' },
        },
      ],
    },
    environment: { HTTPS_PROXY: 'http://127.0.0.1:9' },
    resolve: resolvesTo('127.0.0.1'),
  })
  assertOk(findings, 'DNS store', /db\.example\.com is 127\.0\.0\.1/)
  assertOk(findings, 'DNS upstream foundry', /resolved by the proxy/)
})
