import { withinTime } from '../within-time.js'
import type { Phase, PhaseState } from './phase.js'

/** The state of a phase that has a probe and whose step has succeeded: whether the probe resolves within `timeout` ms. Null: it is as it was. */
export async function probed ({ hasRun, optional, probe }: Phase, timeout: number): Promise<PhaseState | null> {
  if (probe === undefined || !hasRun) return null
  const answered = await withinTime((async () => await probe())(), timeout).catch(() => false)
  return answered ? 'ready' : optional ? 'degraded' : 'failed'
}
