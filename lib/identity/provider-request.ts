/**
 * One HTTP exchange with the identity provider: bounded in time by the caller's signal and in
 * bytes here, redirects never followed. Says what came back or why nothing did; what it means is
 * decided by pure functions elsewhere.
 */
import { parseObject, type JsonObject } from './json-object.ts'
import { quote } from './outcome.ts'

export interface ProviderRequest {
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: URLSearchParams
}

export type ProviderAnswer =
  | { readonly ok: true; readonly status: number; readonly json: JsonObject | null }
  | { readonly ok: false; readonly reason: string }

/** An id_token with thousands of groups is about 200 kB; nobody needs a megabyte. */
const bodyBytesMax = 1024 * 1024

export async function askProvider(
  fetchFrom: typeof fetch,
  url: string,
  { method, headers = {}, form }: ProviderRequest,
  signal: AbortSignal,
): Promise<ProviderAnswer> {
  try {
    const response = await fetchFrom(url, {
      method,
      headers: {
        accept: 'application/json',
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      ...(form === undefined ? {} : { body: form.toString() }),
      redirect: 'manual',
      signal,
    })
    const text = await readText(response)
    return { ok: true, status: response.status, json: parseObject(text) }
  } catch (error) {
    return { ok: false, reason: describe(error) }
  }
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  // Leaving the loop by a throw cancels the body, which frees its connection.
  for await (const chunk of response.body) {
    bytes += chunk.byteLength
    if (bytes > bodyBytesMax) throw new Error(`the answer is longer than ${bodyBytesMax} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/** The innermost cause says what happened; `fetch failed` says nothing. */
export function describe(error: unknown): string {
  let deepest = error
  for (let depth = 0; depth < 5 && deepest instanceof Error && deepest.cause; depth++) {
    deepest = deepest.cause
  }
  if (!(deepest instanceof Error)) return quote(String(deepest))
  const code = 'code' in deepest && typeof deepest.code === 'string' ? deepest.code : undefined
  const text = deepest.message === '' ? deepest.name : deepest.message
  return quote(code === undefined || text.includes(code) ? text : `${text} (${code})`)
}
