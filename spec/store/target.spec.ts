import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeTarget, readTarget, type Target } from '../../lib/store/target.ts'

function targetOf(
  postgres_url: string,
  over: { username?: string; password?: string } = {},
): Target {
  const read = readTarget({ postgres_url, ...over })
  assert.ok('target' in read, JSON.stringify(read))
  return read.target
}

function problemsOf(postgres_url: string) {
  const read = readTarget({ postgres_url })
  assert.ok('problems' in read, 'the URL was taken')
  return read.problems
}

test('store target: a full URL is taken apart and decoded', () => {
  assert.deepEqual(
    targetOf('postgres://ga%40te:p%3Ass%2Fw%25@db.internal:6543/gate%20way?sslmode=verify-full'),
    {
      host: 'db.internal',
      port: 6543,
      database: 'gate way',
      user: 'ga@te',
      password: 'p:ss/w%',
      sslmode: 'verify-full',
      parameters: {},
    },
  )
})

test('store target: what the URL leaves out has the usual defaults', () => {
  assert.deepEqual(targetOf('postgresql:///'), {
    host: 'localhost',
    port: 5432,
    database: undefined,
    user: undefined,
    password: undefined,
    sslmode: 'prefer',
    parameters: {},
  })
})

test('store target: username and password win over the URL and may hold any characters', () => {
  const { user, password } = targetOf('postgres://a:b@h/d', {
    username: 'o/p@e:n%41',
    password: 'x y/@:%41#?',
  })
  assert.deepEqual([user, password], ['o/p@e:n%41', 'x y/@:%41#?'])
  const emptied = targetOf('postgres://a:b@h/d', { password: '' })
  assert.equal(emptied.password, '')
})

test('store target: every query parameter but sslmode goes to the session', () => {
  const target = targetOf('postgres://h/d?application_name=x&sslmode=disable&search_path=a%2Cb')
  assert.equal(target.sslmode, 'disable')
  assert.deepEqual(target.parameters, { application_name: 'x', search_path: 'a,b' })
})

test('store target: IPv6 addresses and socket folders are hosts', () => {
  assert.equal(targetOf('postgres://u@[2001:db8::1]:5433/d').host, '2001:db8::1')
  assert.equal(targetOf('postgres://u@%2Fvar%2Frun%2Fpostgresql/d').host, '/var/run/postgresql')
})

test('store target: a stray percent sign stands for itself', () => {
  assert.equal(targetOf('postgres://u:50%@h/d').password, '50%')
})

test('store target: every sslmode of the documentation is known, another is refused', () => {
  for (const mode of ['disable', 'prefer', 'require', 'verify-ca', 'verify-full']) {
    assert.equal(targetOf(`postgres://h/d?sslmode=${mode}`).sslmode, mode)
  }
  const [problem] = problemsOf('postgres://u:s3cret@h/d?sslmode=verify_full')
  assert.match(problem?.expected ?? '', /sslmode disable, prefer, require, verify-ca, verify-full/)
  assert.equal(problem?.found, 'verify_full')
})

test('store target: sslrootcert is refused with the way it is done here', () => {
  const [problem] = problemsOf('postgres://h/d?sslmode=verify-full&sslrootcert=/ca.pem')
  assert.match(problem?.expected ?? '', /NODE_EXTRA_CA_CERTS/)
})

test('store target: several mistakes are found together', () => {
  assert.equal(problemsOf('postgres://h/d?sslmode=on&sslrootcert=/ca.pem').length, 2)
})

test('store target: more than one host is refused', () => {
  for (const url of ['postgres://u@a,b/d', 'postgres://u@a:1,b:2/d', 'postgres://a:1,b:2']) {
    assert.match(problemsOf(url)[0]?.expected ?? '', /one host/, url)
  }
  assert.equal(targetOf('postgres://u:a,b@h/d?x=1,2').host, 'h')
})

test('store target: an unescaped character is explained, and no text holds the secret', () => {
  for (const url of ['postgres://u:s3#cret@h/d', 'postgres://u:s3/cret@h/d', 'postgres://h:x/d']) {
    const text = JSON.stringify(problemsOf(url))
    assert.match(text, /percent-encoded/, url)
    assert.doesNotMatch(text, /s3|cret/)
  }
})

test('store target: the description names the place and neither role nor password', () => {
  const text = describeTarget(targetOf('postgres://rosie:s3cret@db:6000/gate?sslmode=require'))
  assert.equal(text, 'host db, port 6000, database "gate", sslmode require')
})
