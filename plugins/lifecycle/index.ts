import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createConnections } from '../../services/lifecycle/connections.js'
import type { Connections } from '../../services/lifecycle/connections.js'
import { createDrains } from '../../services/lifecycle/drains.js'
import type { Drain } from '../../services/lifecycle/drains.js'
import { FST_LIFECYCLE_STOPPING } from '../../services/lifecycle/errors.js'
import { createPhases } from '../../services/lifecycle/phases.js'
import type { Phases } from '../../services/lifecycle/phases.js'
import { createStop } from '../../services/lifecycle/stop.js'
import { registryOf } from '../metrics/registry.js'
import { rootOf } from '../root.js'
import { watch } from './metrics.js'
import type { LifecycleOptions } from './options.js'
import { checkOptions } from './rules.js'
import { wireStop } from './sequence.js'
import { handleSignals } from './signals.js'
import type { Signals } from './signals.js'

export interface Lifecycle extends Pick<Phases, 'phase' | 'report'> {
  /**
   * Runs at the stop, when every request is answered and before the plugins close; the one that was added last first. The signal aborts shortly before
   * the deadline. What it throws is logged, and makes the exit code 1.
   */
  onDrain: (name: string, drain: Drain) => void
  /** Aborts when the stop begins: take no more work. */
  stopping: AbortSignal
}

declare module 'fastify' {
  interface FastifyInstance {
    lifecycle: Lifecycle
  }
}

/** Decorates `fastify.lifecycle`: the named phases of a start, and a stop that loses nothing and has a deadline. Register it first. See README.md. */
const lifecycle: FastifyPluginAsync<LifecycleOptions> = async (fastify, given) => {
  const options = checkOptions(given, fastify.initialConfig.pluginTimeout ?? 0)
  const log = fastify.log.child({ plugin: 'lifecycle' })
  const stop = createStop(options)
  const phases = createPhases({ stopping: stop.begun, log })
  const drains = createDrains(log)
  const connections = createConnections(fastify.server, options.upgradeGrace)
  const sequence = wireStop(fastify, { stop, connections, drains, log })
  let signals: Signals | null = null
  let unwatch = (): void => {}
  fastify.addHook('onClose', async () => {
    connections.close()
    stop.end(signals?.leaving() === true)
    if (signals?.leaving() !== true) signals?.release()
    unwatch()
  })
  if (options.signals) signals = handleSignals(fastify, { stop, sequence, log })
  fastify.decorate('lifecycle', { phase: phases.phase, report: phases.report, onDrain: drains.add, stopping: stop.begun })
  countRequests(fastify, connections, stop.begun)
  fastify.addHook('onReady', async () => {
    unwatch = watch(registryOf(fastify, given), { report: phases.report, duration: stop.duration })
    await phases.started()
    if (stop.begun.aborted) throw new FST_LIFECYCLE_STOPPING('it has started')
    rootOf(fastify).ready().then(signals?.up, () => {}) // other plugins may have phases in their own onReady hooks; who starts the server hears of a failure
  })
}

/** An answer that is sent while the server stops is the last one of its connection. */
function countRequests (fastify: FastifyInstance, connections: Connections, stopping: AbortSignal): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    connections.enter(request, reply.raw)
    done()
  })
  fastify.addHook('onSend', (request, reply, payload, done) => {
    if (stopping.aborted && request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
    done(null, payload)
  })
}

export default fp(lifecycle, { name: 'holdfast-lifecycle', fastify: '5.x' })
export { lifecycle }
export * from './errors.js'
export type { LifecycleOptions } from './options.js'
export type { Step } from '../../services/lifecycle/attempt.js'
export type { Drain } from '../../services/lifecycle/drains.js'
export type { PhaseOptions, PhaseReport, PhaseState, RetryDelays } from '../../services/lifecycle/phase.js'
