import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'

/** More would fill the memory in a long outage. What is not told ends with its ttl. */
const most = 10_000

/** Between two looks at whether the node is there again, ms. */
const pause = 200

/**
 * Releases that a broken connection has swallowed, of locks that were held or whose grant was never heard of. They are sent again until the node has
 * answered: at any later time they delete only what is ours.
 */
export function createDebts<Debt> (connection: Redis | Cluster, pay: (debt: Debt) => Promise<unknown>): { owe: (debt: Debt, error: unknown) => void } {
  const debts = new Set<Debt>()
  let paying: Promise<void> | null = null

  async function payAll (): Promise<void> {
    while (debts.size > 0 && connection.status !== 'end') {
      await sleep(pause, undefined, { ref: false })
      if (connection.status === 'ready') await payWhileItAnswers()
    }
    paying = null
  }
  async function payWhileItAnswers (): Promise<void> {
    for (const debt of debts) {
      const error: unknown = await pay(debt).then(() => null, (error: unknown) => error)
      if (error !== null && isAway(error)) return
      debts.delete(debt)
    }
  }
  return {
    owe (debt, error) {
      if (!isAway(error) || debts.size >= most) return
      debts.add(debt)
      paying ??= payAll()
    }
  }
}

/** What Redis itself refuses it would refuse again. */
function isAway (error: unknown): boolean {
  return !(error instanceof Error && error.name === 'ReplyError')
}
