/** Labels on the telemetry of a Claude Desktop. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../lib/kernel/caller.ts'
import { resourceAttributes } from '../../lib/policy/otlp-identity.ts'

const caller: Caller = {
  sub: 'u1',
  email: 'u1@example.com',
  name: undefined,
  groups: ['a', 'b c'],
  expiresAt: 0,
}
const labels = (change: Partial<Caller>) => resourceAttributes({}, { ...caller, ...change })

test('otlp identity: own labels first, then who it is', () => {
  assert.equal(
    JSON.stringify(resourceAttributes({ team: 'x' }, caller)),
    '{"team":"x","enduser.id":"u1@example.com","user.email":"u1@example.com",' +
      '"user.groups":"a,b c","enduser.sub":"u1"}',
  )
})

test('otlp identity: without an address the subject stands for the person', () => {
  assert.deepEqual(labels({ email: undefined, groups: [] }), {
    'enduser.id': 'u1',
    'enduser.sub': 'u1',
  })
})

const groups: readonly [what: string, groups: string[], sent: string | undefined][] = [
  ['none', [], undefined],
  ['a comma', ['a,b'], undefined],
  ['an equals sign', ['a', 'b=c'], undefined],
  ['other characters', ['é;x'], 'é;x'],
  ['255 characters', ['x'.repeat(255)], 'x'.repeat(255)],
  ['256 characters', ['x'.repeat(256)], undefined],
  ['42 letters of two bytes', ['é'.repeat(42)], 'é'.repeat(42)],
  ['43 letters of two bytes', ['é'.repeat(43)], undefined],
  ['half a character', ['\uD800'], undefined],
]
for (const [what, names, sent] of groups) {
  test(`otlp identity: groups with ${what} are ${sent === undefined ? 'left out' : 'sent'}`, () => {
    assert.equal(labels({ groups: names })['user.groups'], sent)
  })
}

for (const sub of ['a b', 'é', 'a%b', 'a,b', 'a;b', 'a=b', 'a\\b', '"', '\t', 'x'.repeat(256)]) {
  test(`otlp identity: the subject ${JSON.stringify(sub).slice(0, 12)} is left out`, () => {
    assert.equal(labels({ sub })['enduser.sub'], undefined)
  })
}

test('otlp identity: ordinary subjects are sent', () => {
  for (const sub of ['a|b@c', 'auth0|5f:7', 'x'.repeat(255)]) {
    assert.equal(labels({ sub })['enduser.sub'], sub)
  }
})
