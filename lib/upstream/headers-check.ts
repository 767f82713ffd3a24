/**
 * Rules about `upstreams[].headers`. The gateway's own headers carry credentials, framing and
 * identity: a configured one beside them would be ignored at best. Values are never shown.
 */
import type { ConfigReport, KeyPath } from '../kernel/report.ts'

const reserved: ReadonlySet<string> = new Set([
  // Credentials and identity.
  'authorization',
  'x-api-key',
  'api-key',
  'cookie',
  'x-litellm-end-user-id',
  // The request itself.
  'host',
  'content-type',
  'content-length',
  'accept-encoding',
  'user-agent',
  // Connection-specific (RFC 9110 section 7.6.1).
  'connection',
  'keep-alive',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
])

const reservedPrefixes = [
  'anthropic-',
  'x-goog-',
  'x-amz-',
  'x-amzn-',
  'proxy-',
  'x-claude-gateway-',
]

/** RFC 9110 section 5.6.2. */
const token = /^[\w!#$%&'*+.^`|~-]+$/

/** Visible ASCII, spaces inside only. */
const headerValue = /^[\u0021-\u007E](?:[\u0020-\u007E]*[\u0021-\u007E])?$/

export function checkHeaders(
  headers: Readonly<Record<string, string | undefined>>,
  path: KeyPath,
  report: ConfigReport,
): void {
  for (const [name, text] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    const at = [...path, name]
    if (!token.test(name)) {
      report.error(at, { expected: 'a header name: letters, digits and - only' })
    } else if (reserved.has(lower) || reservedPrefixes.some((start) => lower.startsWith(start))) {
      report.error(at, { expected: `a header that the gateway does not set itself (not ${name})` })
    } else if (text !== undefined && !headerValue.test(text)) {
      report.error(at, {
        expected: 'printable ASCII text that is not empty and has no space at its ends',
      })
    }
  }
}
