/**
 * One bounded conversation with the provider: several requests under one deadline, and a note of
 * where it stands, so that an outage is reported at the step it happened in.
 */
import type { Clock } from '../kernel/clock.ts'
import { withDeadline } from './deadline.ts'
import { unavailable, type Outcome, type Step } from './outcome.ts'
import type { MetadataSource, ProviderMetadata } from './provider-metadata.ts'
import { describe } from './provider-request.ts'

export interface Conversation {
  readonly requestId: string
  readonly signal: AbortSignal
  readonly metadata: ProviderMetadata
  step: Step
}

export type Converse = <T>(
  requestId: string,
  work: (talk: Conversation) => Promise<Outcome<T>>,
) => Promise<Outcome<T>>

/** The bound of a whole conversation; longer than any healthy provider, shorter than patience. */
const waitMs = 10_000

export function createConverse(source: MetadataSource, clock: Clock): Converse {
  return async (requestId, work) => {
    let talk: Conversation | undefined
    try {
      return await withDeadline(clock, 'identity provider', waitMs, async (signal) => {
        talk = { requestId, signal, metadata: await source.get(), step: 'token_endpoint' }
        return work(talk)
      })
    } catch (error) {
      return unavailable(talk?.step ?? 'token_endpoint', describe(error))
    }
  }
}
