/**
 * How a sign-in ended, for the person in front of the browser. Each page says what happened and
 * what to do next; none says why in the provider's words, except the error it sent along itself.
 */
import type { Page } from './document.ts'
import { html } from './html.ts'

export function signedInPage(email: string | undefined): Page {
  return {
    title: 'Signed in',
    body: html`<h1>You are signed in</h1>
      <p>
        ${email === undefined || email === '' ? null : html`As <strong>${email}</strong>. `}Return
        to your device: it goes on by itself within a few seconds.
      </p>
      <p class="quiet">You can close this window.</p>`,
  }
}

export function deniedPage(): Page {
  return {
    title: 'Denied',
    body: html`<h1>Sign-in denied</h1>
      <p>The device that asked will not be signed in.</p>
      <p class="quiet">
        If you did not start this and keep getting such requests, tell whoever runs this gateway.
        You can close this window.
      </p>`,
  }
}

export type Ending =
  | 'link-expired'
  | 'other-browser'
  | 'not-completed'
  | 'already-used'
  | 'temporarily-unavailable'

const endings: Readonly<Record<Ending, { title: string; text: string; next: string }>> = {
  'link-expired': {
    title: 'This link has expired',
    text: 'It does not belong to a sign-in that is under way.',
    next: 'Start again from your device.',
  },
  'other-browser': {
    title: 'Started in another browser',
    text: 'This sign-in was started in a different browser or a different profile.',
    next: 'Finish it in the browser where you entered the code, or start again from your device.',
  },
  'not-completed': {
    title: 'Sign-in could not be completed',
    text: 'Your identity provider or the rules of this gateway did not allow it.',
    next: 'Start again from your device. If it fails again, ask whoever runs this gateway.',
  },
  'already-used': {
    title: 'This code was used already or has expired',
    text: 'A code works once and for ten minutes.',
    next: 'If your device is not signed in, start again from there.',
  },
  'temporarily-unavailable': {
    title: 'Sign-in is not available right now',
    text: 'The gateway cannot reach a part it needs. Nothing is wrong with your account.',
    next: 'Wait a moment and try again.',
  },
}

/** `requestId` lets an operator find the line in the log. */
export function endingPage(ending: Ending, requestId: string): Page {
  const { title, text, next } = endings[ending]
  return {
    title,
    body: html`<h1>${title}</h1>
      <p role="alert">${text}</p>
      <p>${next}</p>
      <p class="quiet">Request <code>${requestId}</code></p>`,
  }
}

/** What the provider sent instead of a code. Strangers can make such links, hence the frame. */
export function providerErrorPage(error: string, requestId: string): Page {
  return {
    title: 'Not signed in',
    body: html`<h1>Your identity provider did not sign you in</h1>
      <p>It returned:</p>
      <p class="alert" role="alert">${error}</p>
      <p>Start again from your device. If it fails again, ask whoever runs this gateway.</p>
      <p class="quiet">Request <code>${requestId}</code></p>`,
  }
}
