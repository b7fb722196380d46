import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Connections } from '../../services/lifecycle/connections.js'
import type { Drains } from '../../services/lifecycle/drains.js'
import { settledBefore } from '../../services/lifecycle/settled-before.js'
import type { Stop } from '../../services/lifecycle/stop.js'

export interface SequenceDeps {
  stop: Stop
  connections: Connections
  drains: Drains
  log: FastifyBaseLogger
}

export interface Sequence {
  /** Whether nothing was cut off, left behind or failed so far. */
  drained: () => boolean
}

/** Avvio's own method, which takes a function also while the server closes: that one comes next, before every onClose hook that was added before. */
type Closing = FastifyInstance & { onClose: (fn: () => Promise<void>) => void }

/** Wires the stop of a server: requests are answered, then the drains run, then the plugins close. Each step has to end before the deadline. */
export function wireStop (fastify: FastifyInstance, { stop, connections, drains, log }: SequenceDeps): Sequence {
  let step = 'the delay'
  let whole = true

  async function afterRequests (): Promise<void> {
    await settledBefore(stop.over, connections.answered())
    step = 'onDrain'
    const undone = await drains.run(stop.hurry, stop.over)
    if (undone.length > 0) whole = false
    step = 'onClose'
  }

  fastify.addHook('preClose', async () => {
    await stop.begin()
    step = 'the requests'
    connections.drain()
    ;(fastify as Closing).onClose(afterRequests)
  })
  stop.hurry.addEventListener('abort', () => {
    const requests = connections.running()
    if (requests.length > 0) {
      whole = false
      log.warn({ requests }, 'the deadline of the stop is near: open requests are cut off')
    }
    connections.cut()
  })
  stop.over.addEventListener('abort', () => {
    whole = false
    log.error({ step, drain: drains.running(), requests: connections.running() }, 'the deadline of the stop is over: what still runs is left behind')
  })
  return { drained: () => whole }
}
