import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, test } from 'node:test'
import { judgeCertificate, type JudgedChain } from '../../lib/doctor/certificate.ts'
import type { Finding } from '../../lib/doctor/finding.ts'
import { createAuthority } from '../support/certificates.ts'

const authority = createAuthority({ after })
const leaf = authority.issue('DNS:gw.example.com,IP:10.0.0.7').cert
const dayMs = 86_400_000
const chainOf = (...pems: string[]): X509Certificate[] =>
  pems.map((pem) => new X509Certificate(pem))
const judge = (change: Partial<JudgedChain> = {}, days = 0): Finding =>
  judgeCertificate(
    'certificate',
    {
      chain: chainOf(leaf, authority.intermediate),
      hostname: 'gw.example.com',
      place: '/tls/cert.pem',
      ...change,
    },
    Date.now() + days * dayMs,
  )

test('doctor certificate: one for the name, in time and with its chain is good', () => {
  const finding = judge()
  assert.equal(finding.result, 'ok', JSON.stringify(finding))
  assert.match(finding.seen, /gw\.example\.com.*until \d{4}-/)
  assert.equal(judge({ hostname: '10.0.0.7' }).result, 'ok')
  assert.equal(judge({ hostname: undefined }).result, 'ok')
})

test('doctor certificate: another name fails and says which one is needed', () => {
  const finding = judge({ hostname: 'other.example.com' })
  assert.ok(finding.result === 'fail')
  assert.match(finding.seen, /for gw\.example\.com.*not for other\.example\.com/)
  assert.match(finding.fix, /include other\.example\.com into \/tls\/cert\.pem/)
  assert.equal(judge({ hostname: '10.0.0.8' }).result, 'fail')
})

test('doctor certificate: near its end it warns, after it it fails', () => {
  const soon = judge({}, 190)
  assert.ok(soon.result === 'warn', JSON.stringify(soon))
  assert.match(soon.seen, /expires on/)
  assert.match(soon.fix, /renew it in \/tls\/cert\.pem/)
  assert.equal(judge({}, 201).result, 'fail')
  assert.equal(judge({}, -2).result, 'fail')
})

test('doctor certificate: a missing intermediate is named', () => {
  const alone = judge({ chain: chainOf(leaf) })
  assert.ok(alone.result === 'warn')
  assert.match(alone.seen, /CN=Spec-Intermediate is missing/)
  assert.match(alone.fix, /append/)
  const wrong = judge({ chain: chainOf(leaf, authority.root) })
  assert.equal(wrong.result, 'warn')
  assert.equal(judge({ chain: chainOf(leaf), isWhole: true }).result, 'ok')
})

test('doctor certificate: a whole chain may end with its root or before it', () => {
  const whole = judge({ chain: chainOf(leaf, authority.intermediate, authority.root) })
  assert.equal(whole.result, 'ok')
})

test('doctor certificate: none at all fails', () => {
  assert.equal(judge({ chain: [] }).result, 'fail')
})
