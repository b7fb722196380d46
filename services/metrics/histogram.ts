import { Histogram } from 'prom-client'
import type { LabelValues, Registry } from 'prom-client'

export interface HistogramOptions<T extends string> {
  name: string
  help: string
  labelNames: T[]
  /** Upper bounds, growing. */
  buckets: number[]
  registry: Registry
}

interface Tally {
  labels: Record<string, string>
  /** One a bucket, and one for what is above them all. */
  counts: Float64Array
  sum: number
}

interface Value {
  metricName: string
  labels: Record<string, string | number>
  value: number
}

/**
 * A histogram of prom-client that counts for itself. prom-client 15 hashes the labels and makes a string of the bucket at every observation: 0.8 to 2 µs
 * on a machine where this takes 0.05.
 *
 * @returns what prepares the series of some labels; it returns what counts an observation there
 */
export function createHistogram<T extends string> (options: HistogramOptions<T>): (labels: LabelValues<T>) => (value: number) => void {
  const { registry, ...config } = options
  const { name, help, buckets } = config
  const tallies: Tally[] = []
  const get = async (): Promise<object> => ({ name, help, type: 'histogram', aggregator: 'sum', values: tallies.flatMap((tally) => valuesOf(name, buckets, tally)) })
  const reset = (): void => { for (const tally of tallies) clear(tally) }
  registry.registerMetric(Object.assign(new Histogram({ ...config, registers: [] }), { get, getForPromString: get, reset }))
  return (labels) => {
    const tally: Tally = { labels: { ...labels } as Record<string, string>, counts: new Float64Array(buckets.length + 1), sum: 0 }
    tallies.push(tally)
    return (value) => { add(buckets, tally, value) }
  }
}

function add (buckets: number[], tally: Tally, value: number): void {
  let bucket = 0
  while (bucket < buckets.length && value > (buckets[bucket] ?? Infinity)) bucket++
  tally.counts[bucket] = (tally.counts[bucket] ?? 0) + 1
  tally.sum += value
}

function clear (tally: Tally): void {
  tally.counts.fill(0)
  tally.sum = 0
}

/** Buckets are cumulative: https://prometheus.io/docs/instrumenting/exposition_formats/#histograms-and-summaries */
function valuesOf (name: string, buckets: number[], { labels, counts, sum }: Tally): Value[] {
  let count = 0
  const values: Value[] = []
  counts.forEach((here, bucket) => {
    count += here
    values.push({ metricName: `${name}_bucket`, labels: { le: buckets[bucket] ?? '+Inf', ...labels }, value: count })
  })
  return [...values, { metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: count }]
}
