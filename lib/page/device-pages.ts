/**
 * What a person sees on the way to the identity provider: enter the code of the terminal, look
 * who asked for it, go on or deny. Sign-in by code invites phishing, so the second page says
 * plainly where the request came from and when.
 */
import type { Page } from './document.ts'
import { html, type Html } from './html.ts'

export interface Notice {
  /** Whose notice it is: the gateway's host name. */
  readonly host: string
  readonly text: string
}

export interface Requester {
  readonly address: string
  readonly at: Date
}

export interface EnterView {
  /** What went wrong with the last try. */
  readonly problem?: string
  readonly notice?: Notice | undefined
}

export function enterCodePage({ problem, notice }: EnterView): Page {
  return {
    title: 'Connect a device',
    body: html`<h1>Connect a device</h1>
      ${problem === undefined ? null : html`<p class="alert" role="alert" id="problem">${problem}</p>`}
      <p>Enter the code that your terminal or app is showing.</p>
      ${showNotice(notice)}
      <form method="post" action="/device">
        <label for="user_code">Code</label>
        <input
          id="user_code"
          name="user_code"
          required
          maxlength="40"
          placeholder="XXXX-XXXX"
          autocomplete="off"
          autocapitalize="characters"
          spellcheck="false"
          autofocus${problem === undefined ? null : html` aria-describedby="problem"`}
        />
        <p class="actions"><button>Continue</button></p>
      </form>`,
  }
}

export interface ConfirmView {
  /** As it came in the link: shown, never trusted. */
  readonly userCode: string
  /** Undefined when nobody is known to wait for this code, or nobody could be asked. */
  readonly requester?: Requester | undefined
  /** Of this browser, to compare with. */
  readonly clientAddress: string
  readonly now: Date
  readonly notice?: Notice | undefined
}

export function confirmCodePage(view: ConfirmView): Page {
  return {
    title: 'Connect this device?',
    body: html`<h1>Connect this device?</h1>
      <p>A device is asking to be signed in as you. Check that it shows this code:</p>
      <p class="code">${view.userCode}</p>
      ${view.requester === undefined ? null : showRequester(view.requester, view)}
      ${showNotice(view.notice)}
      <p class="caution">
        Go on only if you started this yourself, on a device in front of you. If somebody sent you
        the link or the code, deny it.
      </p>
      <form method="post" action="/device">
        <input type="hidden" name="user_code" value="${view.userCode}" />
        <p class="actions">
          <button>Continue</button>
          <button class="second" formaction="/device/deny">Deny</button>
        </p>
      </form>`,
  }
}

function showRequester(requester: Requester, view: ConfirmView): Html {
  const same = requester.address === view.clientAddress
  return html`<dl>
    <dt>Asked for from</dt>
    <dd>
      <code>${requester.address}</code>,
      ${
        same
          ? 'the network address this browser has too'
          : html`while this browser is at <code>${view.clientAddress}</code>`
      }
    </dd>
    <dt>Asked for at</dt>
    <dd>
      <time datetime="${requester.at.toISOString()}">${clockTime(requester.at)}</time>,
      ${agoInWords(view.now.getTime() - requester.at.getTime())}
    </dd>
  </dl>`
}

function clockTime(at: Date): string {
  return `${at.toISOString().slice(11, 16)} UTC`
}

function agoInWords(elapsedMs: number): string {
  const minutes = Math.floor(elapsedMs / 60_000)
  if (minutes < 1) return 'less than a minute ago'
  return minutes === 1 ? 'a minute ago' : `${minutes} minutes ago`
}

function showNotice(notice: Notice | undefined): Html | null {
  if (notice === undefined) return null
  return html`<p class="note"><strong>Notice from ${notice.host}:</strong> ${notice.text}</p>`
}
