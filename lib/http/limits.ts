/**
 * Refusals that need nothing but the head of a request: they come before authentication and
 * before a byte of the body is read, on every route but the health probes.
 */
import { fail } from '../kernel/errors.ts'
import type { ServedExchange } from './served-exchange.ts'

/** Built-in bound of the header section; also what node:http's parser is given. */
export const headBytesMax = 262_144

export interface LimitOptions {
  readonly max_request_bytes: number
  /** Only ever lowers `headBytesMax`. */
  readonly max_request_header_bytes?: number | undefined
  /** Characters of `http://<Host><path and query>`. */
  readonly max_url_length?: number | undefined
}

/** 414 before 411, 413, 431. */
export function createLimitCheck(limits: LimitOptions): (exchange: ServedExchange) => void {
  const urlMax = limits.max_url_length ?? Infinity
  const bytesMax = limits.max_request_bytes
  const headMax = Math.min(limits.max_request_header_bytes ?? headBytesMax, headBytesMax)
  return (exchange) => {
    if (urlLength(exchange) > urlMax) fail('http/uri-too-long')
    if (exchange.headers['transfer-encoding'] !== undefined) fail('http/length-required')
    if (Number(exchange.headers['content-length'] ?? 0) > bytesMax) fail('http/payload-too-large')
    if (exchange.headBytes > headMax) fail('http/headers-too-large')
  }
}

function urlLength({ headers, path, query }: ServedExchange): number {
  return 'http://'.length + (headers.host ?? '').length + path.length + query.length
}
