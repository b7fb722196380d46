import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { LockService } from '../../services/locks/locks.js'
import { noObserver, results } from '../../services/locks/observer.js'
import type { BackendName, Observer } from '../../services/locks/observer.js'
import { createHistogram } from '../../services/metrics/histogram.js'
import { instrumentsBy, watchIn } from '../metrics/registry.js'

type Source = Pick<LockService, 'held' | 'waiters'>

export interface Metrics {
  observer: Observer
  /** From now on the gauges count these locks too. Returns what takes them out again; what was counted stays. */
  watch: (locks: Source) => () => void
}

interface Instruments {
  observer: Observer
  sources: Set<Source>
}

const acquired = 'lock_acquire_total'
const backends: BackendName[] = ['redis', 'postgres']

/** Seconds. */
const buckets = {
  wait: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  hold: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
}

const instrumentsOf = instrumentsBy(acquired, createInstruments)

/** Metrics of one instance of the plugin. None is labelled by the name of a lock. */
export function createMetrics (registry: Registry | null): Metrics {
  if (registry === null) return { observer: noObserver, watch: () => () => {} }
  const { observer, sources } = instrumentsOf(registry)
  return { observer, watch: watchIn(sources) }
}

function createInstruments (registry: Registry): Instruments {
  const registers: Registry[] = []
  const sources = new Set<Source>()
  const calls = new Counter({ name: acquired, help: 'Calls for a lock by what became of them', labelNames: ['backend', 'result'], registers })
  const losses = new Counter({ name: 'lock_lost_total', help: 'Locks that were lost while they were held', labelNames: ['backend'], registers })
  for (const metric of [calls, losses]) registry.registerMetric(metric)
  const labels = { labelNames: ['backend' as const], registry }
  const waits = seriesOf(createHistogram({ name: 'lock_wait_seconds', help: 'Time from the call for a lock to its grant or refusal', buckets: buckets.wait, ...labels }))
  const holds = seriesOf(createHistogram({ name: 'lock_hold_seconds', help: 'Time from the grant of a lock until it is given back', buckets: buckets.hold, ...labels }))
  addGauges(registry, sources)
  for (const backend of backends) for (const result of results) calls.inc({ backend, result }, 0)
  return {
    sources,
    observer: {
      asked (backend, result, ms) {
        calls.inc({ backend, result })
        waits[backend](ms / 1_000)
      },
      ended (backend, ms) { holds[backend](ms / 1_000) },
      lost (backend) { losses.inc({ backend }) }
    }
  }
}

/** Series of a histogram, made once. */
function seriesOf (observe: (labels: { backend: BackendName }) => (seconds: number) => void): Record<BackendName, (seconds: number) => void> {
  return { redis: observe({ backend: 'redis' }), postgres: observe({ backend: 'postgres' }) }
}

function addGauges (registry: Registry, sources: ReadonlySet<Source>): void {
  const add = (name: string, help: string, count: keyof Source): void => {
    registry.registerMetric(new Gauge({
      name,
      help,
      labelNames: ['backend'],
      registers: [],
      collect () { for (const backend of backends) this.set({ backend }, [...sources].reduce((sum, source) => sum + source[count](backend), 0)) }
    }))
  }
  add('lock_held', 'Locks that are held, and not yet given back', 'held')
  add('lock_waiters', 'Calls that wait for a lock', 'waiters')
}
