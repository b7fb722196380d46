import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Stop } from '../../services/lifecycle/stop.js'
import { FST_LIFECYCLE_SIGNALS_TAKEN } from './errors.js'
import type { Sequence } from './sequence.js'

export interface SignalsDeps {
  stop: Stop
  sequence: Sequence
  log: FastifyBaseLogger
}

export interface Signals {
  /** The server is ready: a signal closes it, and an uncaught error too. Before, a signal fails the start. */
  up: () => void
  /** Whether the process is to end with this stop. */
  leaving: () => boolean
  release: () => void
}

const names = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Ctrl-C reaches every process of a terminal, and npm hands it on once more, some 6 ms later: so soon it is no second signal, ms. */
const echo = 250

let taken = false

/** Stops the server at a signal, and ends the process then. Throws FST_LIFECYCLE_SIGNALS_TAKEN. */
export function handleSignals (fastify: FastifyInstance, deps: SignalsDeps): Signals {
  if (taken) throw new FST_LIFECYCLE_SIGNALS_TAKEN()
  taken = true
  const { stop, log } = deps
  let [started, failed] = [false, false]
  let since: number | null = null

  function leave (fields: object): void {
    since = performance.now()
    log.info(fields, 'stopping')
    if (stop.over.aborted) exitNow() // after a close by hand that did not end
    stop.over.addEventListener('abort', exitNow)
    stop.begin().catch(exitNow)
    if (started) closeNow()
  }
  const closeNow = (): void => { closeAndExit(fastify, deps, () => failed).catch(exitNow) }
  const onSignal = (signal: NodeJS.Signals): void => {
    if (since === null) return leave({ signal })
    if (performance.now() - since < echo) return
    log.error({ signal }, 'asked to stop again: exiting at once')
    exitNow()
  }
  /** One that comes during the stop cuts nothing off. */
  const onError = (error: unknown): void => {
    failed = true
    log.fatal({ err: error }, 'stopping after an uncaught error')
    if (since === null) leave({})
  }
  for (const name of names) process.on(name, onSignal)
  return {
    up () {
      started = true
      process.on('uncaughtException', onError)
      if (since === null) return
      failed = true // a signal came while the last plugins became ready
      closeNow()
    },
    leaving: () => since !== null,
    release () {
      taken = false
      for (const name of names) process.off(name, onSignal)
      process.off('uncaughtException', onError)
    }
  }
}

function exitNow (): void {
  process.exit(1)
}

async function closeAndExit (fastify: FastifyInstance, { stop, sequence, log }: SignalsDeps, hasFailed: () => boolean): Promise<void> {
  let isClosed = true
  process.exitCode = 1 // where a plugin waits for what never comes and nothing else keeps the process alive, it ends here
  try {
    await stop.begin()
    await fastify.close()
  } catch (error) {
    isClosed = false
    log.error({ err: error }, 'a plugin did not close')
  }
  const code = isClosed && !hasFailed() && sequence.drained() ? 0 : 1
  log.info({ duration: stop.duration(), code }, 'stopped')
  process.exit(code)
}
