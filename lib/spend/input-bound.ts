/**
 * The most input that a call can be charged for, judged by the size of its body and a few words in
 * its bytes: what `estimate.ts` prices. Asked once per call, and only with
 * `extensions.spend.reserve`. It reads bytes as they lie and parses nothing but a short list of
 * tools that offers web searches; a body that hides the words it looks for gets the highest bound.
 */
import { asBuffer } from '../stream/as-buffer.ts'
import type { JsonBody } from '../stream/json-body.ts'
import { isRecord } from './usage.ts'

export interface InputBound {
  /** Of all kinds: plain, written to and read from the cache. */
  readonly tokens: number
  readonly searches: number
}

export type BoundedBody = Pick<JsonBody, 'bytes' | 'has' | 'rawValue' | 'value'>

/** The largest context window there is: longer input is refused by the provider, and free. */
const contextTokens = 1_000_000
/** Pictures are scaled down to 4784 tokens at most; a blank one of that size has 500 bytes. */
const pictureTokens = 4784
/**
 * What providers put before a call with tools, for the tools as such and for each kind they know
 * by name: less than 3000 tokens by their documentation, with a margin for the next kind.
 */
const promptTokens = 4000
/** A provider's loop hands the call back after so many rounds, if `max_uses` does not end it. */
const searchesDefault = 10
/** What each search brings in would have filled the context window by then. */
const searchesMax = 10_000

const picture = '"image"'
/** Its text and the pictures of its pages are elsewhere, or packed: nobody knows how much it is. */
const elsewhere = '"document"'
const webSearch = '"web_search_2'
/** Tools that providers run themselves, with their date: what these read is not in the body. */
const providerTools = [webSearch, '"web_fetch_2', '"code_execution_2', '"mcp_toolset"']

/**
 * A token has at least one byte, whatever the language, and JSON only makes text longer: so the
 * bytes of a body bound its text. What has fewer bytes than tokens is looked for by name.
 */
export function inputBound(body: BoundedBody): InputBound {
  const bytes = asBuffer(body.bytes)
  const messages = rawBuffer(body, 'messages')
  const tools = rawBuffer(body, 'tools')
  const isHidden = hidesLetters(bytes)
  const offersSearch = isHidden || tools.includes(webSearch)
  const searches = offersSearch ? searchesOf(body.value('tools')) : 0
  const isOpen =
    isHidden ||
    body.has('mcp_servers') ||
    messages.includes(elsewhere) ||
    providerTools.some((word) => tools.includes(word))
  if (isOpen) return { tokens: contextTokens, searches }
  const prompt = tools.length > 0 ? promptTokens : 0
  const tokens = bytes.length + countOf(messages, picture) * pictureTokens + prompt
  return { tokens: Math.min(tokens, contextTokens), searches }
}

const none = Buffer.alloc(0)

function rawBuffer(body: BoundedBody, key: string): Buffer {
  const raw = body.rawValue(key)
  return raw === undefined ? none : asBuffer(raw)
}

/** More pictures fill the context window anyway. */
const picturesMax = Math.ceil(contextTokens / pictureTokens)

function countOf(bytes: Buffer, word: string): number {
  let count = 0
  for (let at = bytes.indexOf(word); at >= 0 && count < picturesMax; count++) {
    at = bytes.indexOf(word, at + word.length)
  }
  return count
}

/** `undefined` is a list too long to be read, or none. */
function searchesOf(tools: unknown): number {
  if (!Array.isArray(tools)) return tools === undefined ? searchesDefault : 0
  const uses = tools.map((tool: unknown) => {
    if (!isRecord(tool) || !String(tool['type']).startsWith('web_search_')) return 0
    const max = tool['max_uses']
    return typeof max === 'number' && max >= 0 ? max : searchesDefault
  })
  return Math.min(
    searchesMax,
    uses.reduce((sum, count) => sum + count, 0),
  )
}

/** The escapes that spell letters and `_`: no library that writes JSON makes any of them. */
const letterEscapes = ['\\u004', '\\u005', '\\u006', '\\u007']
/** Talk about such escapes has them behind another backslash; there are rarely many. */
const looksMax = 100

/** Whether a letter is written as an escape, and so may be part of a word looked for above. */
function hidesLetters(bytes: Buffer): boolean {
  return letterEscapes.some((escape) => {
    let looks = 0
    for (let at = bytes.indexOf(escape); at >= 0; at = bytes.indexOf(escape, at + 1)) {
      looks += 1
      if (looks > looksMax || !isQuoted(bytes, at)) return true
    }
    return false
  })
}

/** Whether the backslash at `at` is itself escaped. */
function isQuoted(bytes: Buffer, at: number): boolean {
  let before = at
  while (bytes[before - 1] === 0x5c) before -= 1
  return (at - before) % 2 === 1
}
