/**
 * Judges a certificate as the machines of developers will: its end, its names, its chain. Pure;
 * asked for the files of the listener and for what is served under the public address.
 */
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { expiryWarning } from '../schema/certificate.ts'
import { failed, ok, warned, type Finding } from './finding.ts'
import { withoutBrackets } from './parts.ts'

export interface JudgedChain {
  /** The certificate itself first, then those of its issuers as far as they are there. */
  readonly chain: readonly X509Certificate[]
  /** Names of its hosts must include this one; undefined: nobody knows what it is asked for. */
  readonly hostname: string | undefined
  /** Where a renewed certificate goes. */
  readonly place: string
  /** The chain was judged elsewhere. */
  readonly isWhole?: true
}

export function judgeCertificate(
  check: string,
  { chain, hostname, place, isWhole }: JudgedChain,
  now: number,
): Finding {
  const [own] = chain
  if (own === undefined) return failed(check, 'no certificate', `put one into ${place}`)
  const until = new Date(Date.parse(own.validTo)).toISOString().slice(0, 10)
  if (hostname !== undefined && !covers(own, hostname)) {
    return failed(
      check,
      `it is for ${namesOf(own)}, not for ${hostname}`,
      `put a certificate whose subject alternative names include ${hostname} into ${place}`,
    )
  }
  const ending = expiryWarning(own, now)
  if (ending !== null) {
    const isOver = now > Date.parse(own.validTo) || now < Date.parse(own.validFrom)
    const fix = `renew it in ${place}; a running gateway takes the files of its listener up within seconds`
    return isOver ? failed(check, ending, fix) : warned(check, ending, fix)
  }
  const gap = isWhole === true ? null : findGap(chain)
  if (gap !== null) {
    return warned(
      check,
      `${gap} is missing from the chain`,
      `append the certificates of the issuing authorities to ${place}, in order: most clients do not fetch them`,
    )
  }
  return ok(check, `${namesOf(own)}, until ${until}`)
}

function covers(certificate: X509Certificate, hostname: string): boolean {
  const bare = withoutBrackets(hostname)
  if (isIP(bare) !== 0) return certificate.checkIP(bare) !== undefined
  return certificate.checkHost(bare, { subject: 'never' }) !== undefined
}

function namesOf(certificate: X509Certificate): string {
  const names = certificate.subjectAltName?.replaceAll('DNS:', '').replaceAll('IP Address:', '')
  return names ?? `${oneLine(certificate.subject)} (no subject alternative names)`
}

/** The issuer that clients will not find, or null. A lone self-signed one is its own authority. */
function findGap(chain: readonly X509Certificate[]): string | null {
  for (const [index, certificate] of chain.entries()) {
    const isRoot = certificate.checkIssued(certificate)
    const next = chain[index + 1]
    if (next !== undefined && !isRoot && !certificate.checkIssued(next)) {
      return oneLine(certificate.issuer)
    }
  }
  const [own] = chain
  // An authority that developers' machines trust directly may have issued it, or may not.
  return chain.length === 1 && own !== undefined && !own.checkIssued(own)
    ? oneLine(own.issuer)
    : null
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}
