/**
 * The page at `/`, for whoever opens the gateway's address in a browser: what this is, which
 * version, and where a client starts.
 */
import type { Handler } from '../http/exchange.ts'
import { renderPage } from './document.ts'
import { html } from './html.ts'

export interface LandingFacts {
  readonly version: string
  /** Undefined on a loopback bind without one. */
  readonly public_url: string | undefined
  /** Undefined when nobody signs in here. */
  readonly issuer: string | undefined
}

const policy =
  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"

export function createLandingPage({ version, public_url, issuer }: LandingFacts): Handler {
  const body = renderPage({
    title: 'Gateway',
    body: html`<h1>The gateway is running</h1>
      <p>
        This address serves Claude Code and other clients of the gateway protocol. There is nothing
        to do here in a browser: enter the address in your client's sign-in.
      </p>
      <dl>
        ${
          public_url === undefined
            ? null
            : html`<dt>Address</dt>
                <dd><code>${public_url}</code></dd>`
        }
        ${
          issuer === undefined
            ? null
            : html`<dt>People sign in at</dt>
                <dd><code>${new URL(issuer).host}</code></dd>`
        }
        <dt>Version</dt>
        <dd><code>${version}</code></dd>
      </dl>
      <p class="quiet">
        <a href="/.well-known/oauth-authorization-server">Discovery document</a> ·
        <a href="/protocol">Protocol</a>
      </p>`,
  })
  return () => ({
    status: 200,
    headers: [
      ['Content-Type', 'text/html; charset=utf-8'],
      ['Content-Security-Policy', policy],
      ['Cache-Control', 'no-store'],
    ],
    body,
  })
}
