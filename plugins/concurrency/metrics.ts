import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { BreakerState } from '../../services/concurrency/circuit-breaker.js'
import type { OwnedConcurrency } from '../../services/concurrency/index.js'
import { instrumentsBy, watchIn } from '../metrics/registry.js'

type Source = Pick<OwnedConcurrency, 'waiting' | 'breakerStates'>

export interface Metrics {
  rejected: (limiter: string) => void
  /** From now on the gauges show this instance too. Returns what takes it out again; what was counted stays. */
  watch: (source: Source) => () => void
}

interface Instruments {
  sources: Set<Source>
  rejections: Counter<'name'>
}

const queueLength = 'concurrency_queue_length'
const levels: Record<BreakerState, number> = { closed: 0, 'half-open': 1, open: 2 }

const instrumentsOf = instrumentsBy(queueLength, createInstruments)

/** Metrics of one instance of the plugin, labelled by the names of its configuration and by nothing else. */
export function createMetrics (registry: Registry | null, limiters: string[]): Metrics {
  if (registry === null) return { rejected () {}, watch: () => () => {} }
  const { sources, rejections } = instrumentsOf(registry)
  for (const name of limiters) rejections.inc({ name }, 0)
  return { rejected (name) { rejections.inc({ name }) }, watch: watchIn(sources) }
}

function createInstruments (registry: Registry): Instruments {
  const sources = new Set<Source>()
  addGauge(registry, queueLength, 'Those that wait at the locks and semaphores of a name', () =>
    merged([...sources].map((source) => source.waiting()), (sum, count) => sum + count))
  addGauge(registry, 'circuit_breaker_state', 'State of a breaker: 0 closed, 1 half open, 2 open', () =>
    merged([...sources].map((source) => new Map([...source.breakerStates()].map(([name, state]) => [name, levels[state]]))), Math.max))
  const rejections = new Counter({ name: 'rate_limiter_rejections_total', help: 'What a limiter has refused', labelNames: ['name'], registers: [registry] })
  return { sources, rejections }
}

function addGauge (registry: Registry, name: string, help: string, values: () => Map<string, number>): void {
  registry.registerMetric(new Gauge({
    name,
    help,
    labelNames: ['name'],
    registers: [],
    collect () {
      this.reset()
      for (const [name, value] of values()) this.set({ name }, value)
    }
  }))
}

/** One value a name, of all instances. */
function merged (maps: Array<Map<string, number>>, join: (one: number, other: number) => number): Map<string, number> {
  const all = new Map<string, number>()
  for (const map of maps) for (const [name, value] of map) all.set(name, join(all.get(name) ?? 0, value))
  return all
}
