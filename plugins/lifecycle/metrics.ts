import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import { phaseStates } from '../../services/lifecycle/phase.js'
import type { PhaseReport } from '../../services/lifecycle/phase.js'
import { instrumentsBy } from '../metrics/registry.js'

interface Source {
  report: () => Promise<PhaseReport[]>
  /** ms since the stop began, null before. */
  duration: () => number | null
}

const phase = 'lifecycle_phase'

const instrumentsOf = instrumentsBy(phase, createInstruments)

/** From now on the gauges show this instance too. What is returned takes it out of them; the length of its stop stays. */
export function watch (registry: Registry | null, source: Source): () => void {
  if (registry === null) return () => {}
  const { sources, stop } = instrumentsOf(registry)
  sources.add(source)
  return () => {
    sources.delete(source)
    stop.set((source.duration() ?? 0) / 1_000)
  }
}

function createInstruments (registry: Registry) {
  const sources = new Set<Source>()
  registry.registerMetric(new Gauge({
    name: phase,
    help: `State of a phase: ${phaseStates.map((state, value) => `${value} ${state}`).join(', ')}`,
    labelNames: ['phase'],
    registers: [],
    async collect () {
      const reports = await Promise.all([...sources].map(({ report }) => report()))
      this.reset()
      for (const [name, value] of worst(reports.flat())) this.set({ phase: name }, value)
    }
  }))
  const stop = new Gauge({
    name: 'shutdown_duration_seconds',
    help: 'Time since the stop began, and its whole length once it has ended. 0 before',
    registers: [],
    collect () { for (const { duration } of sources) if (duration() !== null) this.set((duration() ?? 0) / 1_000) }
  })
  registry.registerMetric(stop)
  return { sources, stop }
}

/** One value a name, of all instances. */
function worst (reports: PhaseReport[]): Map<string, number> {
  const values = new Map<string, number>()
  for (const { name, state } of reports) values.set(name, Math.max(values.get(name) ?? 0, phaseStates.indexOf(state)))
  return values
}
