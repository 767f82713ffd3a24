import assert from 'node:assert/strict'
import { test } from 'node:test'
import { confirmCodePage, enterCodePage, type ConfirmView } from '../../lib/page/device-pages.ts'

const now = new Date('2026-11-23T10:05:30Z')
const view: ConfirmView = { userCode: 'WDJB-MJHT', clientAddress: '203.0.113.9', now }
const confirm = (change: Partial<ConfirmView> = {}): string =>
  confirmCodePage({ ...view, ...change }).body.markup.replaceAll(/\s+/g, ' ')

test('device pages: the entry form has a labelled field and posts to this site', () => {
  const { markup } = enterCodePage({}).body
  assert.match(markup, /<form method="post" action="\/device">/)
  assert.match(markup, /<label for="user_code">/)
  assert.match(markup, /<input\s+id="user_code"\s+name="user_code"/)
  assert.doesNotMatch(markup, /role="alert"/)
})

test('device pages: a problem is announced and tied to the field', () => {
  const { markup } = enterCodePage({ problem: 'Try <again>' }).body
  assert.match(markup, /role="alert" id="problem">Try &lt;again&gt;</)
  assert.match(markup, /aria-describedby="problem"/)
})

test('device pages: the code of the link is shown and carried, escaped', () => {
  const markup = confirm({ userCode: `"><script>alert(1)</script>` })
  assert.doesNotMatch(markup, /<script/)
  assert.equal(markup.match(/&quot;&gt;&lt;script&gt;alert\(1\)&lt;\/script&gt;/g)?.length, 2)
})

test('device pages: approving and denying are two buttons of one form; nothing sends itself', () => {
  const markup = confirm()
  assert.match(markup, /<input type="hidden" name="user_code" value="WDJB-MJHT" \/>/)
  assert.match(markup, /<button>Continue<\/button>/)
  assert.match(markup, /formaction="\/device\/deny">Deny</)
  assert.doesNotMatch(markup, /<script|http-equiv/)
})

test('device pages: the page says who asked, from where and when', () => {
  const at = new Date('2026-11-23T10:03:00Z')
  const markup = confirm({ requester: { address: '198.51.100.7', at } })
  assert.match(
    markup,
    /<code>198\.51\.100\.7<\/code>, while this browser is at <code>203\.0\.113\.9</,
  )
  assert.match(
    markup,
    /<time datetime="2026-11-23T10:03:00\.000Z">10:03 UTC<\/time>, 2 minutes ago/,
  )
})

test('device pages: the same address as the browser’s is said to be the same', () => {
  const at = new Date('2026-11-23T10:05:10Z')
  const markup = confirm({ requester: { address: '203.0.113.9', at } })
  assert.match(markup, /the network address this browser has too/)
  assert.match(markup, /less than a minute ago/)
  assert.doesNotMatch(markup, /while this browser/)
})

test('device pages: a minute is one minute', () => {
  const at = new Date('2026-11-23T10:04:30Z')
  assert.match(confirm({ requester: { address: 'x', at } }), /a minute ago/)
})

test('device pages: without a requester the warning stays', () => {
  const markup = confirm()
  assert.doesNotMatch(markup, /Asked for/)
  assert.match(markup, /only if you started this yourself/)
})

test('device pages: the notice names its host and is escaped, on both pages', () => {
  const notice = { host: 'gw.example.com', text: 'Use <b>work</b>' }
  for (const { body } of [enterCodePage({ notice }), confirmCodePage({ ...view, notice })]) {
    assert.match(
      body.markup,
      /Notice from gw\.example\.com:<\/strong> Use &lt;b&gt;work&lt;\/b&gt;/,
    )
  }
})
