import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { IdempotencyEngine } from '../../services/idempotency/engine.js'
import { noObserver, outcomes } from '../../services/idempotency/observer.js'
import type { Layer, Observer, Outcome } from '../../services/idempotency/observer.js'
import { createHistogram } from '../../services/metrics/histogram.js'
import { instrumentsBy } from '../metrics/registry.js'

type Engine = Pick<IdempotencyEngine, 'inFlight' | 'waiters'>

export interface Metrics {
  observer: Observer
  /** From now on the gauges show the engine. */
  watch: (engine: Engine) => void
  /** Takes this instance out of the gauges. What was counted stays. */
  close: () => void
}

/** What the gauges of one registry ask. */
interface Source {
  engine: Engine | null
  states: Map<string, 0 | 1>
}

interface Instruments extends Pick<Observer, 'outcome' | 'handled' | 'called' | 'mirrored'> {
  sources: Set<Source>
}

const requests = 'idempotency_requests_total'

/** Seconds. The last bound of the handlers' is what a proxy usually waits at most. */
const buckets = {
  store: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
  handler: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  lag: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
}

const instrumentsOf = instrumentsBy(requests, createInstruments)

/** Metrics of one instance of the plugin. They are labelled by what there is few of: never by key, user or route. */
export function createMetrics (registry: Registry | null): Metrics {
  if (registry === null) return { observer: noObserver, watch () {}, close () {} }
  const { sources, ...counting } = instrumentsOf(registry)
  const source: Source = { engine: null, states: new Map() }
  sources.add(source)
  return {
    observer: { ...counting, state (store, state) { source.states.set(store, state) } },
    watch (engine) { source.engine = engine },
    close () { sources.delete(source) }
  }
}

function createInstruments (registry: Registry): Instruments {
  const sources = new Set<Source>()
  addGauges(registry, sources)
  const handled = createHistogram({ name: 'idempotency_handler_duration_seconds', help: 'Time from the claim of a request to its answer', labelNames: [], buckets: buckets.handler, registry })({})
  const mirrored = createHistogram({ name: 'idempotency_mirror_lag_seconds', help: 'Time from the end of a request in Redis to its record in Postgres, of the oldest of each batch', labelNames: [], buckets: buckets.lag, registry })({})
  return {
    sources,
    outcome: createCounters(registry),
    called: createTimings(registry),
    handled (ms) { handled(ms / 1_000) },
    mirrored (ms) { mirrored(ms / 1_000) }
  }
}

/** prom-client hashes the labels at every increment, about 1 µs: it is told when it is asked. */
function createCounters (registry: Registry): Observer['outcome'] {
  const none = (): Record<Outcome, number> => Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>
  const counts: Record<Layer, Record<Outcome, number>> = { key: none(), fingerprint: none() }
  registry.registerMetric(new Counter({
    name: requests,
    help: 'Requests by what recognised a duplicate and what became of them',
    labelNames: ['layer', 'outcome'],
    registers: [],
    collect () {
      for (const layer of ['key', 'fingerprint'] as const) {
        for (const outcome of outcomes) {
          this.inc({ layer, outcome }, counts[layer][outcome])
          counts[layer][outcome] = 0
        }
      }
    }
  }))
  return (layer, outcome) => { counts[layer][outcome]++ }
}

function createTimings (registry: Registry): Observer['called'] {
  const seriesOf = createHistogram({ name: 'idempotency_store_duration_seconds', help: 'Duration of the calls of the stores', labelNames: ['store', 'operation'], buckets: buckets.store, registry })
  const stores = new Map<string, Map<string, (seconds: number) => void>>()
  const prepare = (store: string, operation: string): (seconds: number) => void => {
    const series = seriesOf({ store, operation })
    stores.set(store, (stores.get(store) ?? new Map<string, (seconds: number) => void>()).set(operation, series))
    return series
  }
  return (store, operation, ms) => { (stores.get(store)?.get(operation) ?? prepare(store, operation))(ms / 1_000) }
}

function addGauges (registry: Registry, sources: Set<Source>): void {
  const total = (count: keyof Engine): number => [...sources].reduce((sum, { engine }) => sum + (engine?.[count]() ?? 0), 0)
  const add = (gauge: Gauge<'store'>): void => { registry.registerMetric(gauge) }
  const registers: Registry[] = []
  add(new Gauge({ name: 'idempotency_in_flight', help: 'Claims that are asked for or whose handlers run', registers, collect () { this.set(total('inFlight')) } }))
  add(new Gauge({ name: 'idempotency_waiters', help: 'Duplicates that wait for the answer of a running request', registers, collect () { this.set(total('waiters')) } }))
  add(new Gauge({
    name: 'idempotency_store_state',
    help: 'Whether a store serves: 1, or could not be had: 0',
    labelNames: ['store'],
    registers,
    collect () {
      this.reset()
      for (const [store, state] of worst(sources)) this.set({ store }, state)
    }
  }))
}

/** Of several instances the one that is worst off. */
function worst (sources: Set<Source>): Map<string, number> {
  const states = new Map<string, number>()
  for (const source of sources) for (const [store, state] of source.states) states.set(store, Math.min(state, states.get(store) ?? 1))
  return states
}
