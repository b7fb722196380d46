import { EventEmitter, once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { StoredRecord } from '../../../services/idempotency/record.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { turn, waiting } from './mutant.js'
import type { Mutants, Mutate } from './mutant.js'

type Wait = IdempotencyStore['waitFor']

async function rejected (signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}

/** Looks every 20 ms until `isOver`, and answers the record if it is finished. */
const polls = (isOver: (found: StoredRecord | null, token: string) => boolean): Mutate => waiting((store) => async (id, token, signal) => {
  for (;;) {
    signal.throwIfAborted()
    const found = await store.get(id)
    if (isOver(found, token)) return found?.state === 'running' ? null : found
    await Promise.race([delay(20), rejected(signal)]) // between two looks
  }
})

/** Knows of completions by an event. `waitFor` waits for it and for nothing else. */
const woken = (waitFor: (store: IdempotencyStore, endings: EventEmitter) => Wait): Mutate => (store) => {
  const endings = new EventEmitter().setMaxListeners(0)
  return {
    async complete (claim, response) {
      const done = await store.complete(claim, response)
      endings.emit(claim.id)
      return done
    },
    waitFor: waitFor(store, endings)
  }
}

const never = waiting(() => async (_id, _token, signal) => await rejected(signal))
const forgetful = waiting((store) => async (...args) => { await store.waitFor(...args); return null })
const hasty = waiting((store) => async (id) => {
  const found = await store.get(id)
  return found?.state === 'running' ? null : found
})
const missesEarlier = woken((store, endings) => async (id, token, signal) => {
  await Promise.race([once(endings, id), rejected(signal)])
  return await store.waitFor(id, token, signal)
})
const missesBetween = woken((store, endings) => async (id, token, signal) => {
  const found = await store.get(id)
  if (found?.state !== 'running') return found
  await turn()
  await Promise.race([once(endings, id), rejected(signal)])
  return await store.waitFor(id, token, signal)
})
const oneWaiter = woken((store, endings) => async (id, token, signal) => {
  endings.removeAllListeners(id)
  await Promise.race([once(endings, id), rejected(signal)])
  return await store.waitFor(id, token, signal)
})
const late = waiting((store) => async (...args) => {
  const found = await store.waitFor(...args)
  await delay(1_500) // its fault is to be late
  return found
})

export const waitingMutants: Mutants = {
  'a wait ends with the record soon after it is finished, and not before': {
    'it never wakes': never,
    'it does not wait': hasty,
    'it forgets the record': forgetful,
    'it wakes late': late,
    'it answers a tombstone with null': waiting((store) => async (...args) => {
      const found = await store.waitFor(...args)
      return found?.state === 'completed' ? found : null
    })
  },
  'a wait that begins after the end ends at once': { 'it misses what was finished before it': missesEarlier, 'it never wakes': never },
  'a wait that begins while the record is being finished does not miss it': { 'it misses a completion between looking and subscribing': missesBetween },
  'all of 100 waits for one key end': { 'it knows one waiter a key': oneWaiter },
  'a wait ends with null soon after the key is released': {
    'it does not see a release': polls((found) => found !== null && (found.state !== 'running' || found.leaseLeft <= 0))
  },
  'a wait ends with null soon after the lease is past': {
    'it does not see the end of the lease': polls((found, token) => found?.state !== 'running' || found.token !== token)
  },
  'a wait goes on while the lease is extended': {
    'it looks at the lease once': waiting((store) => async (id, token, signal) => {
      const found = await store.get(id)
      if (found?.state !== 'running') return found
      return await Promise.race([store.waitFor(id, token, signal), delay(found.leaseLeft, null)]) // its fault is to trust in this time
    })
  },
  'a wait ends with null when another attempt holds the key': {
    'it goes on with the attempt that took over': polls((found) => found?.state !== 'running' || found.leaseLeft <= 0)
  },
  'a wait ends with null or its record when another attempt finished the key': {
    'it waits for the token': polls((found, token) => found === null || (found.state !== 'running' && found.token === token)),
    'it signs the record with the token': waiting((store) => async (id, token, signal) => {
      const found = await store.waitFor(id, token, signal)
      return found === null ? null : { ...found, token }
    })
  }
}

export const abortingMutants: Mutants = {
  'an aborted wait rejects soon with the reason of its signal, and the others go on': {
    'it ignores its signal': waiting((store) => (id, token) => store.waitFor(id, token, AbortSignal.timeout(3_000))),
    'it answers null': waiting((store) => (...args) => store.waitFor(...args).catch(() => null)),
    'it rejects with an error of its own': waiting((store) => (...args) => store.waitFor(...args).catch(() => { throw new Error('aborted') })),
    'it ends the others of its key': (store) => {
      const aborts = new EventEmitter().setMaxListeners(0)
      return {
        async waitFor (id, token, signal) {
          signal.addEventListener('abort', () => aborts.emit(id))
          return await Promise.race([store.waitFor(id, token, signal), once(aborts, id).then(() => signal.aborted ? rejected(signal) : null)])
        }
      }
    }
  },
  'a wait with an aborted signal rejects with its reason': {
    'it begins all the same': waiting((store) => (id, token, signal) => store.waitFor(id, token, signal.aborted ? AbortSignal.timeout(3_000) : signal))
  },
  'waits that are over leave neither listeners on their signal nor timers that keep the process alive': {
    'they leave a listener': waiting((store) => (id, token, signal) => {
      signal.addEventListener('abort', () => {})
      return store.waitFor(id, token, signal)
    }),
    'they leave a timer': waiting((store) => (...args) => {
      setTimeout(() => {}, 3_000)
      return store.waitFor(...args)
    })
  }
}
