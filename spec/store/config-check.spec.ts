/** `store`: forms and bounds, and URLs no target can be read out of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkStore } from '../../lib/store/config-check.ts'
import { loadWith } from '../config/load.ts'

const url = (postgres_url: string) => loadWith({ 'store.postgres_url': postgres_url })

test('store config: both schemes and every sslmode pass', () => {
  for (const fine of [
    'postgres://db.example.com/gateway',
    'postgresql://u:p@127.0.0.1:5432/gateway?application_name=gw',
    ...['disable', 'prefer', 'require', 'verify-ca', 'verify-full'].map(
      (mode) => `postgres://h/d?sslmode=${mode}`,
    ),
  ]) {
    assert.deepEqual(url(fine).problems, [], fine)
  }
})

test('store config: another scheme is refused without showing the URL', () => {
  assert.deepEqual(url('mysql://u:hunter2@h/d').problems, [
    'store.postgres_url: expected a postgres:// or postgresql:// URL, found text of 21 characters (hidden)',
  ])
})

test('store config: an unknown sslmode gets the nearest one', () => {
  const { problems } = url('postgres://u:hunter2@h/d?sslmode=requir')
  assert.match(problems.join(), /sslmode disable, .*hidden\); did you mean require\?$/)
  assert.doesNotMatch(problems.join(), /hunter2/)
})

test('store config: several hosts, a root certificate and a URL that cannot be parsed get a hint', () => {
  assert.match(url('postgres://a:1,b:2/d').problems.join(), /expected one host; put a proxy/)
  assert.match(url('postgres://h/d?sslrootcert=/x').problems.join(), /NODE_EXTRA_CA_CERTS/)
  assert.match(
    url('postgres://u:p#w@h/d').problems.join(),
    /percent-encoded, or in store\.username/,
  )
})

test('store config: credentials beside the URL may hold any character, and empty ones are none', () => {
  const { store } = loadWith({ 'store.username': 'a b', 'store.password': 'p@:/%"' }).config()
  assert.deepEqual([store.username, store.password], ['a b', 'p@:/%"'])
  const empty = loadWith(
    { 'store.username': '', 'store.password': '${P}' },
    { environment: { P: '' } },
  )
  const { username, password } = empty.config().store
  assert.deepEqual([username, password], [undefined, undefined])
})

test('store config: the bounds are those of the documented file', () => {
  const bounds: readonly (readonly [string, number, number, number])[] = [
    ['max_connections', 1, 1000, 0],
    ['connect_timeout_seconds', 1, 60, 61],
    ['readiness_grace_seconds', 0, 3600, 3601],
  ]
  for (const [key, low, high, out] of bounds) {
    for (const value of [low, high])
      assert.deepEqual(loadWith({ [`store.${key}`]: value }).problems, [])
    for (const value of [out, low - 1, 1.5]) {
      assert.equal(loadWith({ [`store.${key}`]: value }).problems.length, 1, `${key} ${value}`)
    }
  }
})

test('store config: nothing is said of a section that could not be read', () => {
  const report = { error: () => assert.fail(), warn: () => assert.fail() }
  checkStore(undefined, report)
  checkStore({ max_connections: 1 }, report)
})
