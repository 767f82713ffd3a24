/**
 * URLs as an operator writes them. Only their form: which hosts may be named is the egress
 * guard's rule, and what a name resolves to is found out at run time.
 */
import type { Schema } from './field.ts'
import { form } from './value.ts'

/** An absolute http:// or https:// URL, kept as written. */
export const httpUrl: Schema<string> = form(isHttpUrl, 'an http:// or https:// URL')

/** Without white space, which URL parsers drop silently and clients do not. */
export function isHttpUrl(text: string): boolean {
  const url = /\s/.test(text) ? null : URL.parse(text)
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:')
}
