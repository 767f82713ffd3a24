/**
 * PEM text into keys and certificates, with reasons a person can act on instead of a library's.
 * Used when a configuration is checked and when a listener's files are read again.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

export type Parsed<T> =
  | { readonly kind: 'ok'; readonly value: T }
  /** Completes the sentence "found …". */
  | { readonly kind: 'bad'; readonly found: string }

const block = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g

/** The certificates in `pem`, in order; at least one. Other blocks are passed over. */
export function parseCertificates(pem: string): Parsed<readonly X509Certificate[]> {
  const blocks = blocksOf(pem).filter(({ label }) => /^(?:X509 |TRUSTED )?CERTIFICATE$/.test(label))
  if (blocks.length === 0) return { kind: 'bad', found: `no PEM certificate${insteadOf(pem)}` }
  const certificates: X509Certificate[] = []
  for (const { text } of blocks) {
    try {
      certificates.push(new X509Certificate(text))
    } catch {
      // OpenSSL's text names an internal function; which of them is broken says more.
      const which =
        blocks.length === 1 ? '' : ` (number ${certificates.length + 1} of ${blocks.length})`
      return { kind: 'bad', found: `a certificate that cannot be decoded${which}` }
    }
  }
  return { kind: 'ok', value: certificates }
}

/** The private key in `pem`; encrypted ones are refused, there is nobody to ask for a passphrase. */
export function parsePrivateKey(pem: string): Parsed<KeyObject> {
  const labels = blocksOf(pem)
  const key = labels.find(({ label }) => label.endsWith('PRIVATE KEY'))
  if (key === undefined) return { kind: 'bad', found: `no PEM private key${insteadOf(pem)}` }
  if (key.label.startsWith('ENCRYPTED') || /^Proc-Type:.*ENCRYPTED/m.test(key.text)) {
    return { kind: 'bad', found: 'an encrypted private key' }
  }
  try {
    return { kind: 'ok', value: createPrivateKey(key.text) }
  } catch {
    // OpenSSL's text names an internal function and nothing an operator could change.
    return { kind: 'bad', found: 'a private key that cannot be decoded' }
  }
}

/** Labels of the PEM blocks in `pem`, such as `RSA PRIVATE KEY`. */
function blocksOf(pem: string): readonly { readonly label: string; readonly text: string }[] {
  return [...pem.matchAll(block)].map(([text, label = '']) => ({ label, text }))
}

function insteadOf(pem: string): string {
  const [first] = blocksOf(pem)
  if (first !== undefined) return `, but a PEM block ${first.label}`
  return pem.trim() === '' ? ', but nothing at all' : ''
}

const dayMs = 86_400_000

/** Long enough to renew by hand, short enough not to be background noise. */
const warnDays = 30

/** What to warn of: expired, not valid yet, or about to expire; null: nothing. */
export function expiryWarning(certificate: X509Certificate, now: number): string | null {
  const from = Date.parse(certificate.validFrom)
  const to = Date.parse(certificate.validTo)
  const end = new Date(to).toISOString().slice(0, 10)
  if (now > to) return `THE CERTIFICATE EXPIRED on ${end}: peers will refuse it`
  if (now < from) {
    return `the certificate is not valid before ${new Date(from).toISOString().slice(0, 10)}`
  }
  const days = Math.floor((to - now) / dayMs)
  return days < warnDays ? `the certificate expires on ${end}, in ${days} day(s)` : null
}
