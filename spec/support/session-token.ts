/** Session tokens made by hand, for specs about what a token lets somebody do. */
import { createHash, createHmac } from 'node:crypto'

export const sessionSecret = '0123456789abcdef0123456789abcdef0123456789abcdef'

export interface TokenClaims {
  readonly [claim: string]: unknown
}

/** HS256 over `claims` as they are; the key id is the one of the gateway for `secret`. */
export function signToken(claims: TokenClaims, secret: string = sessionSecret): string {
  const kid = createHash('sha256').update(secret).digest('hex').slice(0, 16)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'HS256', typ: 'JWT', kid })}.${part(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** A token the gateway at `issuer` accepts for the next hour. */
export function sessionToken(issuer: string, claims: TokenClaims = {}): string {
  const iat = Math.floor(Date.now() / 1000)
  return signToken({
    sub: 'u-alice',
    email: 'alice@example.com',
    name: 'Alice A',
    groups: ['eng'],
    ...claims,
    aud: 'claude-gateway',
    iat,
    exp: iat + 3600,
    iss: issuer,
  })
}
