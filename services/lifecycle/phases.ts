export type PhaseState = 'pending' | 'running' | 'ready' | 'degraded' | 'failed'

export interface PhaseReport {
  name: string
  state: PhaseState
  /** Whether the service can do its work without it. */
  optional: boolean
}

export interface PhaseOptions {
  /** A failure degrades the service instead of stopping it. Default: false. */
  optional?: boolean
  /** Asked again by every report once the phase has run: rejects while the phase's subject cannot be had. */
  probe?: () => Promise<unknown>
}

export interface Phases {
  /** Runs one named step of start-up. Throws what the step throws, unless it is optional. */
  run: (name: string, step: () => Promise<void>, options?: PhaseOptions) => Promise<void>
  /** The state of every phase in order, probed now. A probe that takes longer than `probeTimeout` counts as failed. */
  report: () => Promise<PhaseReport[]>
}

interface Phase extends Required<Pick<PhaseOptions, 'optional'>> {
  name: string
  state: PhaseState
  probe: (() => Promise<unknown>) | undefined
}

/** @param options.probeTimeout ms, default 1,000 */
export function createPhases ({ probeTimeout = 1_000 }: { probeTimeout?: number } = {}): Phases {
  const phases: Phase[] = []
  return {
    async run (name, step, { optional = false, probe } = {}) {
      const phase: Phase = { name, state: 'running', optional, probe }
      phases.push(phase)
      try {
        await step()
        phase.state = 'ready'
      } catch (error) {
        phase.state = optional ? 'degraded' : 'failed'
        if (!optional) throw error
      }
    },
    report: () => Promise.all(phases.map(async (phase) => {
      if (phase.probe !== undefined && phase.state !== 'running') phase.state = await probed(phase.probe, phase.optional, probeTimeout)
      const { name, state, optional } = phase
      return { name, state, optional }
    }))
  }
}

async function probed (probe: () => Promise<unknown>, optional: boolean, timeout: number): Promise<PhaseState> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => { timer = setTimeout(resolve, timeout, false) })
  const answered = await Promise.race([probe().then(() => true, () => false), late])
  clearTimeout(timer)
  return answered ? 'ready' : optional ? 'degraded' : 'failed'
}
