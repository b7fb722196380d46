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
  /** The server has started: a signal closes it, and an uncaught error too. Before, a signal fails the start. */
  up: () => void
  /** Whether the process is to end with this stop. */
  leaving: () => boolean
  release: () => void
}

const names = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

let taken = false

/** Stops the server at a signal, and ends the process then. Throws FST_LIFECYCLE_SIGNALS_TAKEN. */
export function handleSignals (fastify: FastifyInstance, deps: SignalsDeps): Signals {
  if (taken) throw new FST_LIFECYCLE_SIGNALS_TAKEN()
  taken = true
  const { stop, log } = deps
  let [started, leaving] = [false, false]

  function leave (fields: object, failed: boolean): void {
    if (leaving) {
      log.error(fields, 'asked to stop again: exiting at once')
      process.exit(1)
    }
    leaving = true
    log.info(fields, 'stopping')
    stop.over.addEventListener('abort', () => { process.exit(1) })
    const delay = stop.begin()
    if (started) closeAndExit(fastify, deps, delay, failed).catch(onError)
  }
  const onSignal = (signal: NodeJS.Signals): void => { leave({ signal }, false) }
  const onError = (error: unknown): void => {
    log.fatal({ err: error }, 'stopping after an uncaught error')
    leave({}, true)
  }
  for (const name of names) process.on(name, onSignal)
  return {
    up () {
      started = true
      process.on('uncaughtException', onError)
    },
    leaving: () => leaving,
    release () {
      taken = false
      for (const name of names) process.off(name, onSignal)
      process.off('uncaughtException', onError)
    }
  }
}

async function closeAndExit (fastify: FastifyInstance, { stop, sequence, log }: SignalsDeps, delay: Promise<void>, failed: boolean): Promise<void> {
  try {
    await delay
    await fastify.close()
  } catch (error) {
    failed = true
    log.error({ err: error }, 'a plugin did not close')
  }
  const code = failed || !sequence.drained() ? 1 : 0
  log.info({ duration: stop.duration(), code }, 'stopped')
  process.exit(code)
}
