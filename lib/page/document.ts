/**
 * The frame of every page: one style sheet, one landmark, light and dark, no script. Pages must
 * work in an old browser on a phone, read aloud, and at any zoom.
 */
import type { HeaderList, Reply } from '../http/exchange.ts'
import { html, Html } from './html.ts'

export interface Page {
  /** Of the window; the owner's name is added. */
  readonly title: string
  readonly body: Html
  /** Whose page it is, when not the gateway's. */
  readonly owner?: string
}

/** The product's name wherever a person reads it. */
export const productName = 'Apps Gateway'

/**
 * The referrer policy overrides the header's `no-referrer`, under which browsers post forms with
 * `Origin: null`: over plain http, where they send no Sec-Fetch-Site either, our own form would
 * look like another site's. Other sites still learn nothing.
 */
export function renderPage({ title, body, owner = productName }: Page): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <meta name="referrer" content="same-origin" />
        <title>${title} · ${owner}</title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <main>
          <p class="product">${owner}</p>
          ${body}
        </main>
      </body>
    </html> `.markup
}

/** What a sign-in page may do: nothing but show itself and send its form to `formTargets`. */
export function signInPolicy(formTargets: readonly string[]): string {
  return `default-src 'none'; style-src 'unsafe-inline'; font-src data:; frame-ancestors 'none'; form-action ${["'self'", ...formTargets].join(' ')}; base-uri 'none'`
}

export interface PageOptions {
  readonly policy: string
  readonly status?: number
  /** Before the fixed ones, such as a cookie. */
  readonly first?: HeaderList
  /** After the fixed ones, such as Retry-After. */
  readonly last?: HeaderList
}

/** A page that belongs to one person and one moment: never cached. */
export function replyPage(
  page: Page,
  { policy, status = 200, first = [], last = [] }: PageOptions,
): Reply {
  return {
    status,
    headers: [
      ...first,
      ['Content-Type', 'text/html; charset=utf-8'],
      ['Content-Security-Policy', policy],
      ['Cache-Control', 'no-store'],
      ['Pragma', 'no-cache'],
      ...last,
    ],
    body: renderPage(page),
  }
}

// Contrast of text on its background is at least 7:1 in both schemes, of control borders at
// least 3:1; `spec/page/document.spec.ts` computes it from these very values.
const style = new Html(`
:root {
  color-scheme: light dark;
  --ground: #f4f3f0; --card: #ffffff; --text: #22252a; --quiet: #4b515a; --line: #8a8f98;
  --rule: #dcdad4; --accent: #1f4f8f; --on-accent: #ffffff; --alert: #8c1c13;
  --alert-ground: #fdf0ee; --note-ground: #eef3fa;
  --caution: #8a6100; --caution-ground: #fdf6e4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15171a; --card: #1e2125; --text: #eceef1; --quiet: #b6bcc6; --line: #7d848f;
    --rule: #343941; --accent: #a9ccff; --on-accent: #10233d; --alert: #ffb4a9;
    --alert-ground: #3a1f1c; --note-ground: #1f2a3a;
    --caution: #e5c06b; --caution-ground: #302713;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 1.5rem 1rem; min-height: 100vh; background: var(--ground);
  color: var(--text); font: 1.0625rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, sans-serif;
}
main {
  max-width: 31rem; margin: 5vh auto 0; padding: 1.75rem 2rem 2rem; background: var(--card);
  border: 1px solid var(--rule); border-radius: 12px; overflow-wrap: anywhere;
}
.product { margin: 0 0 1.25rem; color: var(--quiet); font-size: .875rem; letter-spacing: .02em; }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; font-weight: 650; }
p { margin: 0 0 1rem; }
.quiet { color: var(--quiet); font-size: .9375rem; }
a { color: var(--accent); }
code, .code { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
.code {
  margin: 0 0 1.25rem; padding: .75rem 1rem; border: 1px solid var(--rule); border-radius: 8px;
  background: var(--ground); font-size: 1.75rem; letter-spacing: .12em; text-align: center;
}
dl { margin: 0 0 1.25rem; }
dt { color: var(--quiet); font-size: .875rem; }
dd { margin: 0 0 .75rem; }
.alert, .note, .caution { padding: .75rem 1rem; border-radius: 8px; border-left: 4px solid; }
.alert { background: var(--alert-ground); color: var(--alert); border-color: var(--alert); }
.note { background: var(--note-ground); border-color: var(--accent); }
.caution { background: var(--caution-ground); border-color: var(--caution); }
label { display: block; margin: 0 0 .375rem; font-weight: 600; }
input {
  width: 100%; margin: 0 0 1rem; padding: .625rem .75rem; border: 1px solid var(--line);
  border-radius: 8px; background: var(--card); color: var(--text); font: inherit;
  font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; font-size: 1.25rem;
  letter-spacing: .08em; text-transform: uppercase;
}
::placeholder { color: var(--quiet); opacity: 1; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }
.list { display: grid; gap: .75rem; }
button {
  flex: 1 1 9rem; padding: .6875rem 1.25rem; border: 1px solid var(--accent);
  border-radius: 8px; background: var(--accent); color: var(--on-accent); font: inherit;
  font-weight: 600; cursor: pointer;
}
button .quiet { display: block; font-weight: 400; }
button.second { background: transparent; color: var(--text); border-color: var(--line); }
button:hover { filter: brightness(1.08); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 26rem) { main { margin-top: 0; padding: 1.25rem; } }
@media (forced-colors: active) { .alert, .note, .caution, main { border: 1px solid; } }
`)
