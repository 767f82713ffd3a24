/**
 * "found …": a value in words short enough for a line. Shows texts as they stand, unless they are
 * secrets, came out of `${…}`, or look like a credential that stands in the wrong place.
 */
import type { Place } from './place.ts'

/** Longest text shown whole: a line of a report stays readable. */
const shownMax = 60

/** Keys of a block that are named. */
const namedMax = 5

export function describePlace(place: Place | undefined, secret: boolean): string {
  if (place === undefined) return 'nothing'
  if (place.references.length > 0) return `the value of ${place.references.join(', ')} (hidden)`
  return describeValue(place.value, secret)
}

export function describeValue(value: unknown, secret: boolean): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'string') return describeText(value, secret)
  if (typeof value === 'number') return secret ? 'a number' : `the number ${value}`
  if (typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  const names = Object.keys(value)
  if (names.length === 0) return 'an empty block'
  const shown = names.slice(0, namedMax).map((name) => cut(name))
  return `a block with ${shown.join(', ')}${names.length > namedMax ? ', …' : ''}`
}

/** Names that promise a credential, where no schema says so: inside open blocks. */
export function isSecretName(name: string): boolean {
  return /secret|token|passw|credential|authorization|cookie|api_?-?key|private/i.test(name)
}

function describeText(text: string, secret: boolean): string {
  if (text === '') return 'empty text'
  if (secret || looksSecret(text)) return `text of ${text.length} characters (hidden)`
  return `the text ${JSON.stringify(cut(withoutUserinfo(text)))}`
}

/** Well-known prefixes of credentials, PEM blocks, and long runs of mixed letters and digits. */
function looksSecret(text: string): boolean {
  return (
    /^(?:sk-|eyJ|AKIA|ASIA|gh[opsu]_|xox[bp]-|-----BEGIN)/.test(text) ||
    (/^[\w+/=~.-]{24,}$/.test(text) &&
      /\d/.test(text) &&
      /[a-z]/i.test(text) &&
      !text.includes('.'))
  )
}

/** A URL without what may hide a password: the part before `@` and the query. */
function withoutUserinfo(text: string): string {
  return text.replace(/:\/\/[^/@\s]*@/, '://…@').replace(/^(\w+:\/\/[^?\s]*\?).*$/s, '$1…')
}

function cut(text: string): string {
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text
}
