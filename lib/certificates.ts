/**
 * The certificates of a running gateway: the listener's follows its files, and those that are
 * about to end are warned of. Made by the composition root.
 */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { watchExpiry, type WatchedCertificate } from './certificate-expiry.ts'
import { createCertificateReload } from './http/certificate-reload.ts'
import type { Certificate } from './http/node-server.ts'
import type { Clock } from './kernel/clock.ts'
import type { Log } from './kernel/log.ts'

export interface CertificateConfig {
  readonly listen: { readonly tls?: { readonly cert: string; readonly key: string } | undefined }
  readonly oidc?:
    | { readonly client_assertion?: { readonly certificate_pem: string } | undefined }
    | undefined
}

export interface CertificateParts {
  /** As read at boot; absent without `listen.tls`. */
  readonly initial: Certificate | undefined
  readonly install: (certificate: Certificate) => void
  readonly clock: Clock
  readonly log: Log
}

export interface Certificates {
  /** Looks at the listener's files, if there are any, and logs what came of it. Never rejects. */
  reload(): Promise<void>
  /** When each ends, milliseconds since the epoch, by the key it is configured with. */
  ends(): readonly { readonly key: string; readonly endsAt: number }[]
  stop(): void
}

export function keepCertificates(
  { listen, oidc }: CertificateConfig,
  { initial, install, clock, log }: CertificateParts,
): Certificates {
  const watched: WatchedCertificate[] = []
  const listener =
    listen.tls === undefined || initial === undefined
      ? null
      : createCertificateReload(listen.tls, initial, { readFile, install, clock, log })
  if (listener !== null) watched.push({ key: 'listen.tls.cert', current: () => listener.current() })
  if (oidc?.client_assertion !== undefined) {
    const own = new X509Certificate(oidc.client_assertion.certificate_pem)
    watched.push({ key: 'oidc.client_assertion.certificate_pem', current: () => own })
  }
  const expiry = watchExpiry(watched, clock, log)
  return {
    async reload() {
      await listener?.reload()
    },
    ends: () => watched.map(({ key, current }) => ({ key, endsAt: Date.parse(current().validTo) })),
    stop() {
      listener?.stop()
      expiry.cancel()
    },
  }
}
