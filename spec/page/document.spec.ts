import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderPage, replyPage, signInPolicy } from '../../lib/page/document.ts'
import { html } from '../../lib/page/html.ts'

const page = { title: 'A <title>', body: html`<h1>Hello</h1>` }

test('document: a page has a language, a title, one landmark and no script', () => {
  const markup = renderPage(page)
  assert.match(markup, /^<!doctype html>/i)
  assert.match(markup, /<html lang="en">/)
  assert.match(markup, /<title>A &lt;title&gt; · Apps Gateway<\/title>/)
  assert.equal(markup.match(/<main>/g)?.length, 1)
  assert.doesNotMatch(markup, /<script|javascript:|\son\w+=|https?:\/\//)
})

test('document: zoom stays possible and both colour schemes are offered', () => {
  const markup = renderPage(page)
  assert.match(markup, /name="viewport" content="width=device-width, initial-scale=1"/)
  assert.match(markup, /@media \(prefers-color-scheme: dark\)/)
})

test('document: our own forms say where they come from, other sites learn nothing', () => {
  assert.match(renderPage(page), /<meta name="referrer" content="same-origin" \/>/)
})

test('document: the sign-in policy allows only its own form targets', () => {
  assert.equal(
    signInPolicy(['https://idp.example.com', 'https://sso.example.com']),
    "default-src 'none'; style-src 'unsafe-inline'; font-src data:; frame-ancestors 'none'; form-action 'self' https://idp.example.com https://sso.example.com; base-uri 'none'",
  )
  assert.match(signInPolicy([]), /; form-action 'self'; base-uri 'none'$/)
})

test('document: a page is never cached, and its headers keep the wire’s order', () => {
  const reply = replyPage(page, {
    policy: 'p',
    status: 503,
    first: [['set-cookie', 'c']],
    last: [['Retry-After', '5']],
  })
  assert.equal(reply.status, 503)
  assert.deepEqual(reply.headers, [
    ['set-cookie', 'c'],
    ['Content-Type', 'text/html; charset=utf-8'],
    ['Content-Security-Policy', 'p'],
    ['Cache-Control', 'no-store'],
    ['Pragma', 'no-cache'],
    ['Retry-After', '5'],
  ])
  assert.equal(replyPage(page, { policy: 'p' }).status, 200)
})

/** Relative luminance and contrast as WCAG 2.2 defines them. */
function contrast(one: string, other: string): number {
  const luminance = (colour: string): number => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const [lighter = 0, darker = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a)
  return (lighter + 0.05) / (darker + 0.05)
}

function colours(scheme: 'light' | 'dark'): Record<string, string> {
  const blocks = renderPage(page).match(/:root \{[^}]*\}/g) ?? []
  assert.equal(blocks.length, 2)
  const block = blocks[scheme === 'light' ? 0 : 1] ?? ''
  return Object.fromEntries(
    [...block.matchAll(/--([\w-]+): (#[0-9a-f]{6})/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  )
}

const readable: readonly [string, string, number][] = [
  ['text', 'card', 7],
  ['text', 'ground', 7],
  ['quiet', 'card', 7],
  ['quiet', 'ground', 7],
  ['accent', 'card', 7],
  ['on-accent', 'accent', 7],
  ['alert', 'alert-ground', 7],
  ['text', 'note-ground', 7],
  ['text', 'caution-ground', 7],
  ['line', 'card', 3],
]
for (const scheme of ['light', 'dark'] as const) {
  test(`document: text and controls can be told from their background (${scheme})`, () => {
    const palette = colours(scheme)
    for (const [front, back, least] of readable) {
      const found = contrast(palette[front] ?? '', palette[back] ?? '')
      assert.ok(found >= least, `${front} on ${back}: ${found.toFixed(2)}, wanted ${least}`)
    }
  })
}
