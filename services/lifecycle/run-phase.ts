import type { Retry } from '../concurrency/retry.js'
import type { Log } from '../log.js'
import { attempt } from './attempt.js'
import type { Phase } from './phase.js'

export interface RunDeps {
  stopping: AbortSignal
  retry: Retry
  log: Log
}

/** Runs the step of a phase whose turn it is. Throws what a required one throws; an optional one goes on in the background after its first attempt. */
export async function runPhase (phase: Phase, deps: RunDeps): Promise<void> {
  const start = performance.now()
  phase.state = 'running'
  await (phase.optional ? tryOptional(phase, deps) : tryRequired(phase, deps))
  deps.log.debug({ phase: phase.name, state: phase.state, duration: performance.now() - start }, 'phase ended')
}

async function tryRequired (phase: Phase, { stopping, log }: RunDeps): Promise<void> {
  try {
    await attempt(phase.step, { ...phase, stopping })
    phase.hasRun = true
    phase.state = 'ready'
  } catch (error) {
    phase.state = 'failed'
    if (!stopping.aborted) log.error({ err: error, phase: phase.name }, 'phase failed')
    throw error
  }
}

function tryOptional (phase: Phase, deps: RunDeps): Promise<void> {
  const { minDelay = 1_000, maxDelay = 30_000 } = phase.retry === false ? {} : phase.retry
  const attempts = phase.retry === false ? 1 : Number.MAX_SAFE_INTEGER
  return new Promise((resolve) => {
    const once = async ({ attempt: number }: { attempt: number }): Promise<void> => {
      try {
        await tryOnce(phase, number, deps)
      } finally {
        resolve()
      }
    }
    // Each failure is logged where it happens. What is left is the end of the attempts: the stop of the server, or `retry: false`.
    deps.retry(once, { attempts, minDelay, maxDelay }).catch(() => {}).finally(resolve)
  })
}

async function tryOnce (phase: Phase, number: number, { stopping, log }: RunDeps): Promise<void> {
  try {
    await attempt(phase.step, { ...phase, stopping })
    phase.hasRun = true
    phase.state = 'ready'
    if (number > 1) log.info({ phase: phase.name, attempt: number }, 'optional phase is ready at last')
  } catch (error) {
    phase.state = 'degraded'
    if (!stopping.aborted) log.warn({ err: error, phase: phase.name, attempt: number }, 'optional phase failed')
    throw error
  }
}
