import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBrowserCookie } from '../../lib/identity/browser-cookie.ts'

const read = (secure: boolean, cookie: string | undefined): readonly string[] =>
  createBrowserCookie(secure).read({ headers: cookie === undefined ? {} : { cookie } })

test('browser cookie: over http it is gw_dev, kept from scripts and other sites', () => {
  assert.deepEqual(createBrowserCookie(false).set('abc'), [
    'set-cookie',
    'gw_dev=abc; Max-Age=600; HttpOnly; SameSite=Lax; Path=/',
  ])
})

test('browser cookie: over https it is bound to the host and secure', () => {
  assert.deepEqual(createBrowserCookie(true).set('abc'), [
    'set-cookie',
    '__Host-gw_dev=abc; Max-Age=600; HttpOnly; SameSite=Lax; Path=/; Secure',
  ])
})

test('browser cookie: clearing repeats the attributes', () => {
  assert.deepEqual(createBrowserCookie(false).clear(), [
    'set-cookie',
    'gw_dev=; Max-Age=0; HttpOnly; SameSite=Lax; Path=/',
  ])
})

test('browser cookie: it is found among others', () => {
  assert.deepEqual(read(false, 'a=1; gw_dev=abc; b=2'), ['abc'])
  assert.deepEqual(read(false, 'gw_dev=abc;b=2'), ['abc'])
})

test('browser cookie: two of the name are both seen', () => {
  assert.deepEqual(read(false, 'gw_dev=old; gw_dev=new'), ['old', 'new'])
})

test('browser cookie: the plain name does not count over https, nor the other way round', () => {
  assert.deepEqual(read(true, 'gw_dev=abc'), [])
  assert.deepEqual(read(false, '__Host-gw_dev=abc'), [])
})

test('browser cookie: none, an empty one and a longer name are nothing', () => {
  assert.deepEqual(read(false, undefined), [])
  assert.deepEqual(read(false, 'gw_dev='), [])
  assert.deepEqual(read(false, 'gw_dev2=abc; xgw_dev=abc'), [])
})
