import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  deniedPage,
  endingPage,
  providerErrorPage,
  signedInPage,
  type Ending,
} from '../../lib/page/result-pages.ts'

test('result pages: a sign-in names the person, escaped, when there is an address', () => {
  assert.match(signedInPage('<a@x.com>').body.markup, /As <strong>&lt;a@x\.com&gt;<\/strong>/)
  assert.doesNotMatch(signedInPage(undefined).body.markup, /<strong>/)
  assert.doesNotMatch(signedInPage('').body.markup, /<strong>/)
})

test('result pages: denying says what will not happen', () => {
  assert.match(deniedPage().body.markup, /will not be signed in/)
})

const kinds: readonly Ending[] = [
  'link-expired',
  'other-browser',
  'not-completed',
  'already-used',
  'temporarily-unavailable',
]
for (const kind of kinds) {
  test(`result pages: ${kind} says what happened, what to do, and the request to quote`, () => {
    const { title, body } = endingPage(kind, 'id-1')
    assert.match(body.markup, new RegExp(`<h1>${title}</h1>`))
    assert.match(body.markup, /role="alert"/)
    assert.match(body.markup, /<code>id-1<\/code>/)
  })
}

test('result pages: no two endings read alike', () => {
  assert.equal(new Set(kinds.map((kind) => endingPage(kind, '').title)).size, kinds.length)
})

test('result pages: the provider’s error is quoted, escaped, as the provider’s', () => {
  const { markup } = providerErrorPage('access_denied: <img src=x>', 'id-1').body
  assert.match(markup, /It returned:/)
  assert.match(markup, /access_denied: &lt;img src=x&gt;/)
})
