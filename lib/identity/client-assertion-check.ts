/**
 * Boot checks of `oidc.client_assertion`: a provider answers a bad key with nothing but
 * `invalid_client`, so everything that can be known is said here. Also the line that tells the
 * operator which certificate to register. Never repeats any part of the key.
 */
import type { X509Certificate } from 'node:crypto'
import type { ConfigReport } from '../kernel/report.ts'
import { expiryWarning, parseCertificates, parsePrivateKey } from '../schema/certificate.ts'
import type { ConfigFacts } from '../schema/facts.ts'
import type { Loose } from '../schema/loose.ts'
import type { OidcConfig } from './config.ts'

type ClientAssertion = Loose<NonNullable<OidcConfig['client_assertion']>>

/** What providers accept for RS256 (RFC 7518 section 3.3). */
const rsaBitsMin = 2048

const keyPath = ['oidc', 'client_assertion', 'private_key_pem']
const certificatePath = ['oidc', 'client_assertion', 'certificate_pem']

export function checkClientAssertion(
  { private_key_pem, certificate_pem }: ClientAssertion,
  facts: ConfigFacts,
  report: ConfigReport,
): void {
  const certificate = readCertificate(certificate_pem, report)
  if (certificate !== undefined) {
    const warning = expiryWarning(certificate, facts.now)
    if (warning !== null) report.warn(certificatePath, warning)
    facts.note(describe(certificate))
  }
  if (private_key_pem === undefined) return
  const problem = keyProblem(private_key_pem)
  if (problem !== null) report.error(keyPath, problem)
  else if (certificate !== undefined && !isPair(certificate, private_key_pem)) {
    report.error(certificatePath, {
      expected: 'the certificate of private_key_pem',
      found: 'one with another public key',
    })
  }
}

function readCertificate(
  pem: string | undefined,
  report: ConfigReport,
): X509Certificate | undefined {
  if (pem === undefined) return undefined
  const expected = 'exactly one PEM certificate, as text'
  const parsed = parseCertificates(pem)
  if (parsed.kind === 'bad') {
    report.error(certificatePath, { expected, found: parsed.found })
    return undefined
  }
  const [certificate, ...others] = parsed.value
  if (others.length > 0) {
    report.error(certificatePath, { expected, found: `${parsed.value.length} of them` })
  }
  return certificate
}

/** Completes "expected …"; what was found stays out of it, since it would describe the key. */
function keyProblem(pem: string): { expected: string } | null {
  const form = `an unencrypted RSA private key of at least ${rsaBitsMin} bits, PKCS#8 or PKCS#1 PEM text`
  const parsed = parsePrivateKey(pem)
  if (parsed.kind === 'bad') return { expected: `${form} (this is ${parsed.found})` }
  const { asymmetricKeyType, asymmetricKeyDetails } = parsed.value
  if (asymmetricKeyType !== 'rsa') {
    return { expected: `${form} (this is a key of type ${asymmetricKeyType})` }
  }
  const bits = asymmetricKeyDetails?.modulusLength ?? 0
  return bits < rsaBitsMin ? { expected: `${form} (this one has ${bits} bits)` } : null
}

function isPair(certificate: X509Certificate, pem: string): boolean {
  const key = parsePrivateKey(pem)
  return key.kind === 'ok' && certificate.checkPrivateKey(key.value)
}

/** The form of the line is the reference's: operators compare the thumbprint with the portal. */
function describe(certificate: X509Certificate): string {
  const name = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '(none)'
  const thumbprint = certificate.fingerprint.replaceAll(':', '')
  const expires = new Date(certificate.validTo).toISOString().slice(0, 10)
  return `oidc: client authentication private_key_jwt; certificate CN=${name}, SHA-1 thumbprint ${thumbprint}, expires ${expires}`
}
