import { noObserver } from '../observer.js'
import type { Observer } from '../observer.js'
import type { IdempotencyStore } from '../store.js'
import type { PostgresStore } from './postgres.js'
import type { RedisLink } from './redis-link.js'

export interface Watch {
  /** What the metrics call the store. */
  store: string
  observer: Observer
  /** Whether an error says that the store cannot be had. Null where a breaker reports its state. Default: every error does. */
  isOutage?: ((error: unknown) => boolean) | null
}

/** Times the calls of a store, those that fail too. What waits is not timed. */
export function observeStore (store: IdempotencyStore, watch: Watch): IdempotencyStore {
  if (watch.observer === noObserver) return store
  return timedStore(store, createTimer(watch))
}

function timedStore (store: IdempotencyStore, timed: Timer): IdempotencyStore {
  return {
    claim: (claim) => timed('claim', performance.now(), store.claim(claim)),
    extend: (claims) => timed('extend', performance.now(), store.extend(claims)),
    complete: (claim, response) => timed('complete', performance.now(), store.complete(claim, response)),
    release: (claim) => timed('release', performance.now(), store.release(claim)),
    get: (id) => timed('get', performance.now(), store.get(id)),
    waitFor: (id, token, signal) => store.waitFor(id, token, signal)
  }
}

/** Besides, those of the batches. */
export function observePostgres (store: PostgresStore, watch: Watch): PostgresStore {
  if (watch.observer === noObserver) return store
  const timed = createTimer(watch)
  return {
    ...store,
    ...timedStore(store, timed),
    finish: (records, origin) => timed('finish', performance.now(), store.finish(records, origin)),
    hold: (claims) => timed('hold', performance.now(), store.hold(claims))
  }
}

export function observeLink (link: RedisLink, watch: Watch): RedisLink {
  if (watch.observer === noObserver) return link
  const timed = createTimer(watch)
  return {
    ...link,
    claim: (claim) => timed('claim', performance.now(), link.claim(claim)),
    extend: (claims) => timed('extend', performance.now(), link.extend(claims)),
    complete: (claim, response) => timed('complete', performance.now(), link.complete(claim, response)),
    release: (claim) => timed('release', performance.now(), link.release(claim)),
    get: (id) => timed('get', performance.now(), link.get(id))
  }
}

type Timer = <T>(operation: string, since: number, answer: Promise<T>) => Promise<T>

/** The very promise is returned, so that a call is not an event-loop step later, and its caller hears of a rejection. */
function createTimer ({ store, observer, isOutage = () => true }: Watch): Timer {
  let serves: 0 | 1 = 1
  const report = (state: 0 | 1): void => {
    serves = state
    observer.state(store, state)
  }
  if (isOutage !== null) report(1)
  return (operation, since, answer) => {
    answer.then(() => {
      observer.called(store, operation, performance.now() - since)
      if (serves === 0) report(1)
    }, (error: unknown) => {
      observer.called(store, operation, performance.now() - since)
      if (serves === 1 && isOutage !== null && isOutage(error)) report(0)
    })
    return answer
  }
}
