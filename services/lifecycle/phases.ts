import { createRetry } from '../concurrency/retry.js'
import type { Log } from '../log.js'
import { attempt } from './attempt.js'
import type { Step } from './attempt.js'
import { FST_LIFECYCLE_USAGE } from './errors.js'
import { checkCycle, checkNames } from './graph.js'
import { createOutcomes } from './outcomes.js'
import { createPhase } from './phase.js'
import type { Phase, PhaseOptions, PhaseReport } from './phase.js'
import { probed } from './probe.js'
import { runPhase } from './run-phase.js'

export interface Phases {
  /**
   * Declares one named step of start-up. It begins as soon as the phases of its `after` have ended. What is returned settles with its first
   * attempt and need not be awaited: the start of the server waits for it, and fails with it.
   *
   * @throws FST_LIFECYCLE_USAGE. It rejects with what the step throws, unless it is optional, FST_LIFECYCLE_STOPPING, FST_LIFECYCLE_TIMEOUT
   */
  phase: (name: string, step: Step, options?: PhaseOptions) => Promise<void>
  /** The state of every phase in the order of declaration, probed now. A probe that takes longer than `probeTimeout` counts as failed. */
  report: () => Promise<PhaseReport[]>
  /** Resolves when every phase has been tried. Throws what a required one throws, and FST_LIFECYCLE_USAGE when one waits for a phase that nobody declared. */
  started: () => Promise<void>
}

export interface PhasesDeps {
  /** Aborts when the server begins to stop. */
  stopping: AbortSignal
  log: Log
  /** ms, default 1,000 */
  probeTimeout?: number
}

export function createPhases ({ stopping, log, probeTimeout = 1_000 }: PhasesDeps): Phases {
  const phases = new Map<string, Phase>()
  const outcomes = createOutcomes()
  const deps = { stopping, log, retry: createRetry({ closing: stopping }) }

  async function inTurn (phase: Phase): Promise<void> {
    await attempt(() => outcomes.of(phase.after), { name: phase.name, stopping })
    await runPhase(phase, deps)
  }

  return {
    phase (name, step, options = {}) {
      const phase = createPhase(name, step, options)
      if (phases.has(name)) throw new FST_LIFECYCLE_USAGE(`the phase \`${name}\` is declared twice`)
      checkCycle(phase, phases)
      phases.set(name, phase)
      phase.first = inTurn(phase)
      outcomes.follow(name, phase.first)
      return phase.first
    },
    async started () {
      checkNames(phases)
      await Promise.all([...phases.values()].map(({ first }) => first))
    },
    report: () => Promise.all([...phases.values()].map(async (phase) => {
      const state = await probed(phase, probeTimeout)
      if (state !== null) phase.state = state // it may have changed meanwhile
      return { name: phase.name, state: phase.state, optional: phase.optional }
    }))
  }
}
