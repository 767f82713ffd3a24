/**
 * HTML as a value. `html` is the only way to make markup, and it escapes every string it is
 * given; so no page can forget to.
 */

/** Finished markup. Only `html` makes one. */
export class Html {
  readonly markup: string
  constructor(markup: string) {
    this.markup = markup
  }
}

export type HtmlValue = string | number | Html | null | readonly Html[]

/** A template of markup: strings and numbers are escaped, `Html` is kept, null is nothing. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let markup = ''
  parts.forEach((part, index) => {
    markup += part + render(values[index] ?? null)
  })
  return new Html(markup)
}

function render(value: HtmlValue): string {
  if (value === null) return ''
  if (value instanceof Html) return value.markup
  if (typeof value === 'object') return value.map((each) => each.markup).join('')
  return escape(String(value))
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Safe in text and in quoted attributes, which are the only two places templates put values. */
function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character)
}
