/** The pages of the demo's local OpenID provider, in the frame of the gateway's own pages. */
import { renderPage } from '../../lib/page/document.ts'
import { html } from '../../lib/page/html.ts'

export interface SamplePerson {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly groups: readonly string[]
  /** More claims, or other values of the usual ones. */
  readonly claims?: Readonly<Record<string, unknown>>
}

const owner = 'Sample identity provider'

/** One button a person; `action` is where the choice is posted. */
export function peoplePage(
  people: readonly SamplePerson[],
  action: string,
  client_id: string,
): string {
  return renderPage({
    owner,
    title: 'Choose a person',
    body: html`<h1>Who are you?</h1>
      <p>
        This provider runs on your machine and asks for no password. Choose a sample person to sign
        in to <strong>${client_id}</strong>.
      </p>
      <form class="list" method="post" action="${action}">
        ${people.map(
          ({ id, name, email, groups }) =>
            html`<button class="second" name="person" value="${id}">
              ${name} <span class="quiet">${email} · ${groups.join(', ')}</span>
            </button>`,
        )}
        <button class="second" name="person" value="cancel">
          <span class="quiet">Cancel</span>
        </button>
      </form>`,
  })
}

export function errorPage(text: string): string {
  return renderPage({
    owner,
    title: 'Something went wrong',
    body: html`<h1>Something went wrong</h1>
      <p class="alert" role="alert">${text}</p>
      <p>Start again from your device.</p>`,
  })
}
