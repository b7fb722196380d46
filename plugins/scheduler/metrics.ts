import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import { createHistogram } from '../../services/metrics/histogram.js'
import type { ClaimObserver } from '../../services/scheduler/claiming.js'
import { noObserver } from '../../services/scheduler/observer.js'
import type { Observer } from '../../services/scheduler/observer.js'
import type { Overview } from '../../services/scheduler/overview.js'
import { instrumentsBy, watchIn } from '../metrics/registry.js'

export interface Metrics {
  observer: Observer & Pick<ClaimObserver, 'recorded'>
  /** From now on the gauges show this cluster too. Returns what takes it out again; what was counted stays. */
  watch: (overview: Overview) => () => void
}

interface Shown {
  labels: Record<string, string>
  value: number
}

interface Instruments {
  observer: Metrics['observer']
  sources: Set<Overview>
}

const runs = 'scheduler_runs_total'

/** Seconds. */
const buckets = {
  duration: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1_800, 3_600],
  lag: [0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60, 300, 3_600]
}

const instrumentsOf = instrumentsBy(runs, createInstruments)

/** Metrics of one instance of the plugin, labelled by the names of jobs, never by owners. */
export function createMetrics (registry: Registry | null): Metrics {
  if (registry === null) return { observer: { ...noObserver, recorded () {} }, watch: () => () => {} }
  const { observer, sources } = instrumentsOf(registry)
  return { observer, watch: watchIn(sources) }
}

function createInstruments (registry: Registry): Instruments {
  const sources = new Set<Overview>()
  const ended = new Counter({ name: runs, help: 'Starts of runs by what became of them, and ticks that were skipped', labelNames: ['schedule', 'result'], registers: [registry] })
  const missed = new Counter({ name: 'scheduler_missed_total', help: 'Ticks that did not run, because they were late', labelNames: ['schedule'], registers: [registry] })
  const durations = series(createHistogram({ name: 'scheduler_run_duration_seconds', help: 'Time from the start of a run to its end', labelNames: ['schedule'], buckets: buckets.duration, registry }))
  const lags = series(createHistogram({ name: 'scheduler_lag_seconds', help: 'Time from the nominal instant of a tick to its first start', labelNames: ['schedule'], buckets: buckets.lag, registry }))
  addGauges(registry, sources)
  return {
    sources,
    observer: {
      started ({ name, kind, lag }) { if (kind === 'tick' && lag !== null) lags(name)(lag / 1_000) },
      ended ({ name }, result, ms) {
        ended.inc({ schedule: name, result })
        if (ms !== null) durations(name)(ms / 1_000)
      },
      recorded (name, state, count) {
        if (state === 'missed') missed.inc({ schedule: name }, count)
        if (state === 'skipped') ended.inc({ schedule: name, result: state }, count)
      }
    }
  }
}

/** The series of a job, made when it is first needed. */
function series (prepare: (labels: { schedule: string }) => (seconds: number) => void): (schedule: string) => (seconds: number) => void {
  const known = new Map<string, (seconds: number) => void>()
  return (schedule) => {
    const observe = known.get(schedule) ?? prepare({ schedule })
    known.set(schedule, observe)
    return observe
  }
}

function addGauges (registry: Registry, sources: ReadonlySet<Overview>): void {
  addGauge({ name: 'scheduler_overdue', help: 'Schedules with a tick that nobody has claimed for 10 s', labelNames: ['schedule'] }, async (overview) =>
    [...await overview.overdue()].map(([schedule, value]) => ({ labels: { schedule }, value })))
  addGauge({ name: 'scheduler_queue_depth', help: 'Runs that are due and not begun', labelNames: [] }, async (overview) => [{ labels: {}, value: await overview.queued() }])

  function addGauge (config: { name: string, help: string, labelNames: string[] }, read: (overview: Overview) => Promise<Shown[]>): void {
    registry.registerMetric(new Gauge({
      ...config,
      registers: [],
      async collect () {
        // Postgres is away: no value says so, and the other metrics are wanted.
        const shown = await Promise.all([...sources].map((overview) => read(overview).catch(() => [])))
        if (config.labelNames.length === 0) this.remove() // which `reset` sets to 0
        else this.reset()
        for (const { labels, value } of shown.flat().sort((a, b) => a.value - b.value)) this.set(labels, value) // the worst of the clusters stays
      }
    }))
  }
}
