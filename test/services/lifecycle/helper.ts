import { createPhases } from '../../../services/lifecycle/phases.js'
import type { Phases, PhasesDeps } from '../../../services/lifecycle/phases.js'
import { silentLog } from '../../../services/log.js'
import type { Test } from 'tap'

/** Phases whose server stops with the test. */
export function testPhases (t: Test, deps: Partial<PhasesDeps> = {}): { phases: Phases, stop: () => void } {
  const controller = new AbortController()
  const stop = (): void => { controller.abort() }
  t.teardown(stop)
  return { phases: createPhases({ stopping: controller.signal, log: silentLog, ...deps }), stop }
}

export async function states (phases: Phases): Promise<Record<string, string>> {
  return Object.fromEntries((await phases.report()).map(({ name, state }) => [name, state]))
}

export const fail = async (): Promise<void> => { throw new Error('no') }
