import type { Log } from '../../log.js'
import type { SessionLocks } from './session-locks.js'

interface Subscription {
  names: readonly string[]
  wake: () => void
  end: () => void
}

export interface Subscriptions {
  /** Never rejects: where there is no session, the next one is told. */
  add: (names: readonly string[], wake: () => void, connected: () => Promise<SessionLocks>) => Promise<() => void>
  /** A new session hears of those that wait already. */
  renew: (locks: SessionLocks) => void
}

/** Who waits in this process, whatever session comes and goes. */
export function createSubscriptions (log: Log): Subscriptions {
  const all = new Set<Subscription>()
  const hear = async (subscription: Subscription, locks: SessionLocks): Promise<void> => {
    const end = await locks.subscribe(subscription.names, subscription.wake)
    if (!all.has(subscription)) return end()
    subscription.end = end
    subscription.wake() // it may have been given back before
  }
  const onDeaf = (err: unknown): void => { log.debug({ err }, 'no wake-up is heard until there is a session: the lock is looked at now and then') }
  return {
    async add (names, wake, connected) {
      const subscription: Subscription = { names, wake, end () {} }
      all.add(subscription)
      await connected().then((locks) => hear(subscription, locks)).catch(onDeaf)
      return () => {
        all.delete(subscription)
        subscription.end()
      }
    },
    renew (locks) {
      for (const subscription of all) hear(subscription, locks).catch(onDeaf)
    }
  }
}
