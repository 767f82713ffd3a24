/** Exchanges as the bridge makes them, on node:http objects without a connection. */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { ServedExchange } from '../../lib/http/served-exchange.ts'
import { createWatchdog } from '../../lib/http/watchdog.ts'
import { createFakeClock } from '../support/fake-clock.ts'

export interface ExchangeFacts {
  readonly method?: string
  readonly clientAddress?: string
  readonly path?: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Names and values in turn. */
  readonly rawHeaders?: readonly string[]
  readonly headBytes?: number
}

export function makeServedExchange(facts: ExchangeFacts = {}): ServedExchange {
  const req = new IncomingMessage(new Socket())
  req.method = facts.method ?? 'GET'
  req.headers = { ...facts.headers }
  req.rawHeaders = [...(facts.rawHeaders ?? [])]
  return new ServedExchange({
    req,
    res: new ServerResponse(req),
    target: { path: facts.path ?? '/', query: facts.query ?? '' },
    client: { address: facts.clientAddress ?? '192.0.2.1', unreadableHop: null },
    headBytes: facts.headBytes ?? 0,
    startedAt: 0,
    body: { bytesMax: 1024, watchdog: createWatchdog(createFakeClock()) },
    expectsContinue: false,
  })
}
