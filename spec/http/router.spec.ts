import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRouter, type Route } from '../../lib/http/router.ts'
import { text } from '../../lib/http/reply.ts'

const handle = () => text(200, '')
const open = (method: Extract<Route, { access: 'open' }>['method'], path: string): Route => ({
  access: 'open',
  method,
  path,
  handle,
})

test('router: a row is found by its method and its exact path', () => {
  const device = open('GET', '/device')
  const router = createRouter([device, open('POST', '/device'), open('POST', '/oauth/token')])
  assert.equal(router.find('GET', '/device'), device)
  assert.equal(router.find('POST', '/device')?.method, 'POST')
  for (const path of ['/Device', '/device/', '//device', '/devic', '/device2', '']) {
    assert.equal(router.find('GET', path), undefined, path)
  }
  assert.equal(router.find('PUT', '/device'), undefined)
  assert.equal(router.find('get', '/device'), undefined)
})

test('router: HEAD is no GET unless the row says so', () => {
  const router = createRouter([open('GET', '/a'), open('GET+HEAD', '/b')])
  assert.equal(router.find('HEAD', '/a'), undefined)
  assert.equal(router.find('HEAD', '/b')?.path, '/b')
  assert.equal(router.find('GET', '/b')?.path, '/b')
  assert.equal(router.find('GET+HEAD', '/b'), undefined)
})

test('router: ANY takes every method, and a row of the method itself goes before it', () => {
  const router = createRouter([open('ANY', '/a'), open('POST', '/a')])
  assert.equal(router.find('DELETE', '/a')?.method, 'ANY')
  assert.equal(router.find('HEAD', '/a')?.method, 'ANY')
  assert.equal(router.find('POST', '/a')?.method, 'POST')
})

test('router: names of object members are no routes', () => {
  const router = createRouter([open('GET', '/a')])
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.equal(router.find('GET', name), undefined)
    assert.equal(router.find(name, '/a'), undefined)
  }
})

test('router: an admin prefix holds itself and what follows a slash', () => {
  const router = createRouter([
    open('GET', '/a'),
    { access: 'admin', prefix: '/v1/organizations/spend_limits', below: true, handle },
  ])
  for (const path of ['', '/', '/effective', '/id/x']) {
    assert.ok(router.findAdmin(`/v1/organizations/spend_limits${path}`), path)
  }
  for (const path of ['/v1/organizations/spend_limits2', '/v1/organizations', '/a']) {
    assert.equal(router.findAdmin(path), undefined, path)
  }
})

test('router: an admin path without anything below it is that path alone', () => {
  const router = createRouter([{ access: 'admin', prefix: '/cost', below: false, handle }])
  assert.ok(router.findAdmin('/cost'))
  for (const path of ['/cost/', '/cost/x', '/costs'])
    assert.equal(router.findAdmin(path), undefined)
})

test('router: two rows for one place stop the start, because one would never be reached', () => {
  assert.throws(() => createRouter([open('GET', '/a'), open('GET+HEAD', '/a')]), /GET \/a/)
  assert.throws(() => createRouter([open('ANY', '/a'), open('ANY', '/a')]), /ANY \/a/)
})

test('router: the place of a path is its row whatever the method, and never what a client invents', () => {
  const admin: Route = { access: 'admin', prefix: '/v1/limits', below: true, handle }
  const router = createRouter([open('GET', '/device'), admin])
  assert.equal(router.placeOf('/device'), '/device')
  assert.equal(router.placeOf('/v1/limits'), '/v1/limits')
  assert.equal(router.placeOf('/v1/limits/spl_1'), '/v1/limits')
  for (const path of ['/device/', '/v1/limitsx', '/', '']) {
    assert.equal(router.placeOf(path), 'other', path)
  }
})
