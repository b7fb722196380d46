import { EventEmitter, once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { StoredRecord } from '../../services/idempotency/record.js'
import type { IdempotencyStore } from '../../services/idempotency/store.js'
import type { Mutate } from './mutants.js'

type Wait = IdempotencyStore['waitFor']

const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

const waits = (waitFor: (store: IdempotencyStore) => Wait): Mutate => (store) => ({ waitFor: waitFor(store) })

async function rejected (signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}

/** Looks every 20 ms until `isOver`, and answers the record if it is finished. */
const polls = (isOver: (found: StoredRecord | null, token: string) => boolean): Mutate => waits((store) => async (id, token, signal) => {
  for (;;) {
    signal.throwIfAborted()
    const found = await store.get(id)
    if (isOver(found, token)) return found?.state === 'running' ? null : found
    await Promise.race([delay(20), rejected(signal)])
  }
})

/** A store that wakes those who wait by an event, and `waitFor` over it. */
const woken = (store: IdempotencyStore, waitFor: (endings: EventEmitter) => Wait): Partial<IdempotencyStore> => {
  const endings = new EventEmitter().setMaxListeners(0)
  return {
    async complete (claim, response) {
      const done = await store.complete(claim, response)
      endings.emit(claim.id)
      return done
    },
    waitFor: waitFor(endings)
  }
}

export const waitingMutants: Record<string, Mutate> = {
  'waitFor never wakes': waits(() => async (_id, _token, signal) => await rejected(signal)),
  'waitFor does not wait': waits((store) => async (id) => {
    const found = await store.get(id)
    return found?.state === 'running' ? null : found
  }),
  'waitFor forgets the record': waits((store) => async (...args) => { await store.waitFor(...args); return null }),
  'waitFor answers a tombstone with null': waits((store) => async (...args) => {
    const found = await store.waitFor(...args)
    return found?.state === 'completed' ? found : null
  }),
  'waitFor wakes late': waits((store) => async (...args) => {
    const found = await store.waitFor(...args)
    await delay(1_500)
    return found
  }),
  'waitFor misses a completion between looking and subscribing': (store) => woken(store, (endings) => async (id, token, signal) => {
    const found = await store.get(id)
    if (found?.state !== 'running') return found
    await turn()
    await once(endings, id, { signal })
    return await store.waitFor(id, token, signal)
  }),
  'waitFor misses what was finished before it': (store) => woken(store, (endings) => async (id, token, signal) => {
    await once(endings, id, { signal }).catch(() => { throw signal.reason })
    return await store.waitFor(id, token, signal)
  }),
  'waitFor knows one waiter a key': (store) => woken(store, (endings) => async (id, token, signal) => {
    endings.removeAllListeners(id)
    const found = await store.get(id)
    if (found?.state !== 'running') return found
    await Promise.race([once(endings, id), rejected(signal), delay(500)])
    await Promise.race([once(endings, `${id} of the others`), rejected(signal), store.waitFor(id, token, signal).then((found) => found ?? rejected(signal))])
    return await store.waitFor(id, token, signal)
  }),
  'waitFor does not see a release': polls((found, _token) => found !== null && (found.state !== 'running' || found.leaseLeft <= 0)),
  'waitFor does not see the end of the lease': polls((found, token) => found?.state !== 'running' || found.token !== token),
  'waitFor looks at the lease once': waits((store) => async (id, token, signal) => {
    const found = await store.get(id)
    if (found?.state !== 'running') return found
    return await Promise.race([store.waitFor(id, token, signal), delay(found.leaseLeft, null, { ref: false })])
  }),
  'waitFor goes on with the attempt that took over': polls((found) => found?.state !== 'running' || found.leaseLeft <= 0),
  'waitFor ignores its signal': waits((store) => (id, token) => store.waitFor(id, token, AbortSignal.timeout(20_000))),
  'waitFor answers null when aborted': waits((store) => (...args) => store.waitFor(...args).catch(() => null)),
  'waitFor rejects with an error of its own': waits((store) => (...args) => store.waitFor(...args).catch(() => { throw new Error('aborted') })),
  'waitFor begins in spite of an aborted signal': waits((store) => async (id, token, signal) => {
    if (!signal.aborted) return await store.waitFor(id, token, signal)
    return await store.waitFor(id, token, AbortSignal.timeout(20_000))
  }),
  'an aborted wait ends the others of its key': (store) => {
    const aborts = new EventEmitter().setMaxListeners(0)
    return {
      async waitFor (id, token, signal) {
        signal.addEventListener('abort', () => aborts.emit(id))
        return await Promise.race([store.waitFor(id, token, signal), once(aborts, id).then(() => null)])
      }
    }
  },
  'waitFor leaves a listener on the signal': waits((store) => (id, token, signal) => {
    signal.addEventListener('abort', () => {})
    return store.waitFor(id, token, signal)
  }),
  'waitFor leaves a timer': waits((store) => (...args) => {
    setTimeout(() => {}, 5_000)
    return store.waitFor(...args)
  })
}
