import type { Registry } from 'prom-client'

export interface LifecycleOptions {
  /**
   * How long a stop may take, ms. Then it is forced.
   * @default 25_000
   */
  deadline?: number
  /**
   * Stop at SIGTERM, SIGINT, SIGHUP and after an uncaught error, and end the process then: exit code 0 when all was drained, 1 when it was forced. A
   * second signal ends it at once. For one application of a process.
   * @default false
   */
  signals?: boolean
  /**
   * Between the 503 of the readiness and the rest of the stop, ms: so long it takes a load balancer to see it.
   * @default 0
   */
  preStopDelay?: number
  /**
   * So long before the deadline open requests are cut off and the signal of `onDrain` aborts, ms.
   * @default a tenth of the deadline, 2_000 at most
   */
  abortGrace?: number
  /**
   * How long upgraded connections, such as WebSockets, may take to close by themselves, ms.
   * @default 1_000
   */
  upgradeGrace?: number
  /**
   * Where the metrics are added: a registry of prom-client. False adds none.
   * @default fastify.metrics, where the plugin holdfast/metrics is registered, else false
   */
  metrics?: Registry | false
}

export const defaults = Object.freeze({ deadline: 25_000, signals: false, preStopDelay: 0, upgradeGrace: 1_000 } satisfies LifecycleOptions)

export type ResolvedOptions = Required<Omit<LifecycleOptions, 'metrics'>>

export function resolveOptions (options: LifecycleOptions): ResolvedOptions {
  const { deadline = defaults.deadline, signals = defaults.signals, preStopDelay = defaults.preStopDelay, upgradeGrace = defaults.upgradeGrace } = options
  const { abortGrace = Math.min(2_000, Math.floor(deadline / 10)) } = options
  return { deadline, signals, preStopDelay, upgradeGrace, abortGrace }
}
