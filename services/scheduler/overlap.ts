import type { Overlap } from './definition.js'

/** What a tick is recorded as. */
export type TickState = 'pending' | 'waiting' | 'skipped' | 'cancelled' | 'missed'

/** What the ledger knows of a schedule whose tick has come: runs that have not ended, and whether one of them waits for another. */
export interface Activity {
  active: boolean
  waiting: boolean
}

/** The states of ticks that come together, oldest first. What `cancelOther` does to the active ones is done before. */
export function statesOf (overlap: Overlap, ticks: number, { active, waiting }: Activity): TickState[] {
  const rest = (state: TickState, ...first: TickState[]): TickState[] => Array.from({ length: ticks }, (_, index) => first[index] ?? state)
  const begun: TickState[] = active ? [] : ['pending']
  switch (overlap) {
    case 'allow': return rest('pending')
    case 'skip': return rest('skipped', ...begun)
    case 'bufferOne': return rest('skipped', ...begun, ...(waiting ? [] : ['waiting'] as const))
    case 'bufferAll': return rest('waiting', ...begun)
    case 'cancelOther': return rest('cancelled').fill(active ? 'waiting' : 'pending', -1)
  }
}
