import assert from 'node:assert/strict'
import { test } from 'node:test'
import { html } from '../../lib/page/html.ts'

test('html: strings are escaped, in text and in attributes', () => {
  const evil = `<script>alert("1")</script>&'`
  assert.equal(
    html`<p title="${evil}">${evil}</p>`.markup,
    '<p title="&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;">' +
      '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;</p>',
  )
})

test('html: markup made by it is kept, also in lists', () => {
  const items = ['a', '<b>'].map((item) => html`<i>${item}</i>`)
  assert.equal(html`${items}`.markup, '<i>a</i><i>&lt;b&gt;</i>')
  assert.equal(html`<p>${html`<i>x</i>`}</p>`.markup, '<p><i>x</i></p>')
})

test('html: null is nothing, a number is its digits', () => {
  assert.equal(html`${null}${0}${5}`.markup, '05')
})

test('html: an object that looks like markup is none', () => {
  const forged = JSON.parse('{"markup":"<script>"}')
  assert.throws(() => html`${forged}`.markup)
})
