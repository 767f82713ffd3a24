/**
 * `extensions.metrics` as one part for the composition root: the registry, what observes, and the
 * listener that is scraped.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Audit, Log } from '../kernel/log.ts'
import {
  createObservers,
  type IsModel,
  type Observers,
  registerGauges,
  type Sources,
} from './families.ts'
import { createMetricsListener, type MetricsListenerConfig } from './listener.ts'
import { createRegistry } from './registry.ts'

export interface Metrics {
  readonly observers: Observers
  /** `audit` with an eye on it. */
  watch(audit: Audit): Audit
  /** Answers scrapes from here on; resolves with the port, rejects when it is taken. */
  start(sources: Sources): Promise<number>
  close(): Promise<void>
}

export function createMetrics(
  config: MetricsListenerConfig,
  isModel: IsModel,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Metrics {
  const registry = createRegistry()
  const observers = createObservers(registry, isModel, clock)
  const listener = createMetricsListener(config, () => registry.text(), log)
  let stop = (): void => {}
  return {
    observers,
    watch: (audit) => (event, fields) => {
      audit(event, fields)
      observers.audit(event, fields)
    },
    start(sources) {
      stop = registerGauges(registry, sources)
      return listener.listen()
    },
    async close() {
      stop()
      await listener.close()
    },
  }
}
