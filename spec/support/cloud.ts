/** A provider's server, and what a provider file is given to reach it, for specs of clouds. */
import { createEgress } from '../../lib/egress/dispatcher.ts'
import type { Egress } from '../../lib/egress/egress.ts'
import { systemClock } from '../../lib/kernel/clock.ts'
import type { ProviderDeps } from '../../lib/upstream/upstream.ts'
import { createFakeUpstream, type FakeUpstream } from './fake-upstream.ts'
import { createRecorder, type Recorder } from './recorder.ts'

export interface CloudBench {
  readonly server: FakeUpstream
  readonly deps: ProviderDeps
  readonly recorder: Recorder
  /** Addresses asked for while offline, in order. */
  readonly sent: () => readonly string[]
}

export interface CloudOptions {
  /** Requests go nowhere: for the providers' own addresses. */
  readonly offline?: boolean
  readonly ttfbMs?: number
}

/** Runs `work` with a server of its own; all is closed behind it. */
export async function withCloud(
  work: (bench: CloudBench) => Promise<void>,
  { offline = false, ttfbMs = 60_000 }: CloudOptions = {},
): Promise<void> {
  const server = await createFakeUpstream()
  const real = createEgress({ allowLoopback: true, clock: systemClock })
  const sent: string[] = []
  const nowhere: Egress = {
    ...real,
    request({ url, target }) {
      sent.push(url.origin + (target ?? url.pathname))
      return Promise.reject(new Error('offline'))
    },
  }
  const recorder = createRecorder()
  const deps: ProviderDeps = {
    egress: offline ? nowhere : real,
    clock: systemClock,
    log: recorder.log,
    upstream_ttfb_ms: ttfbMs,
    whole_ttfb_ms: ttfbMs,
  }
  try {
    await work({ server, deps, recorder, sent: () => sent })
  } finally {
    await real.close()
    await server.close()
  }
}
