/**
 * AWS's Security Token Service on a real server: checks what it is asked with the secret of the
 * asker, and hands out numbered keys. For specs of roles.
 */
import { createFakeUpstream, type Behaviour, type RecordedRequest } from './fake-upstream.ts'
import { verifySignature } from './sigv4.ts'

/** Who asks: the keys of the gateway itself. */
export const ownKeys = {
  aws_access_key_id: 'AKIDOWN',
  aws_secret_access_key: 'own-secret',
} as const

export interface FakeSts {
  readonly url: string
  /** The forms of all calls so far. */
  readonly calls: readonly URLSearchParams[]
  readonly requests: readonly RecordedRequest[]
  /** The next answers, instead of keys. */
  next(...behaviours: Behaviour[]): void
  close(): Promise<void>
}

/** Keys are `ASIA<n>` with the secret `secret-<n>`, for the n-th call; `lifeMs` long. */
export async function createFakeSts(lifeMs = 3_600_000): Promise<FakeSts> {
  const server = await createFakeUpstream()
  const calls: URLSearchParams[] = []
  const answer = (request: RecordedRequest): Behaviour => {
    const signature = verifySignature(request, ownKeys.aws_secret_access_key)
    if (!signature.matches || signature.service !== 'sts') return refusal('SignatureDoesNotMatch')
    calls.push(new URLSearchParams(request.body.toString()))
    return keys(calls.length, new Date(Date.now() + lifeMs))
  }
  server.always(answer)
  return {
    url: server.url,
    calls,
    requests: server.requests,
    next: (...behaviours) => server.next(...behaviours),
    close: () => server.close(),
  }
}

export function refusal(code: string): Behaviour {
  return {
    status: 403,
    headers: ['content-type', 'text/xml'],
    body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>not authorized to assume it</Message></Error></ErrorResponse>`,
  }
}

function keys(n: number, expires: Date): Behaviour {
  return {
    headers: ['content-type', 'text/xml'],
    body: `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
      <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>
      <Credentials><AccessKeyId>ASIA${n}</AccessKeyId><SecretAccessKey>secret-${n}</SecretAccessKey>
      <SessionToken>token/${n}==</SessionToken><Expiration>${expires.toISOString()}</Expiration></Credentials>
    </AssumeRoleResult></AssumeRoleResponse>`,
  }
}
