import type { Log } from '../../log.js'
import { noObserver } from '../observer.js'
import type { Observer } from '../observer.js'
import type { Claim, ClaimResult, StoredRecord, StoredResponse } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import { untilEnded } from '../wait.js'
import { createDecider } from './decider.js'
import { createInFlight } from './in-flight.js'
import { createMirror } from './mirror.js'
import type { PostgresStore } from './postgres.js'
import { createRecall } from './recall.js'
import type { RedisLink } from './redis-link.js'
import { createSettler } from './settler.js'
import { createTier, timings as defaultTimings } from './tier.js'
import type { Timings } from './tier.js'

export interface FailoverStoreOptions {
  /** @param onConnectionLost to be called at once when the socket was closed */
  redis: (onConnectionLost: () => void) => RedisLink
  postgres: PostgresStore
  log: Log
  observer?: Observer
  timings?: Partial<Timings>
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
}

export interface FailoverStore extends IdempotencyStore {
  /** Writes what is still to be mirrored. The clients stay the caller's to close. */
  close: () => Promise<void>
}

/**
 * Redis decides, Postgres remembers what Redis may forget and decides while Redis cannot be had. docs/guarantees.md says what holds under which
 * fault.
 */
export async function openFailoverStore ({ redis, postgres, log, observer = noObserver, timings = {}, now = () => performance.now() }: FailoverStoreOptions): Promise<FailoverStore> {
  const inFlight = createInFlight(now)
  const recall = createRecall(postgres, now)
  const mirror = createMirror({ postgres, log, onFlush: (seconds) => { observer.mirrored(seconds * 1_000) } })
  const link: RedisLink = redis(() => { tier.failed(new Error('the connection to Redis was closed')).catch(() => {}) }) // an outage is never thrown back
  const handOver = async (): Promise<void> => {
    const claims = inFlight.all().filter(({ inPostgres }) => !inPostgres)
    const held = await postgres.hold(claims.map(({ claim }) => claim))
    claims.forEach((claim, index) => { claim.inPostgres = held[index] === true })
    await mirror.flush()
  }
  const reassert = async (): Promise<void> => {
    await Promise.all([settler.repay(), ...inFlight.all().filter(({ inRedis }) => inRedis).map(({ claim }) => link.claim(claim))])
  }
  const tier = createTier({ link, recall, handOver, reassert, busy: () => inFlight.all().length > 0, log, observer, timings: { ...defaultTimings, ...timings } })
  const unanswered = new WeakSet<Claim>()
  const settler = createSettler({ link, postgres, tier, inFlight, unanswered, mirror, log })
  const decider = createDecider({ link, postgres, tier, recall, inFlight, unanswered, release: settler.release, log })
  await tier.open()

  const subscribe: RedisLink['subscribe'] = (id, wake) => link.subscribe(id, wake).catch(() => () => {}) // looking now and then is enough
  return {
    claim: (claim: Claim): Promise<ClaimResult> => decider.claim(claim),
    extend: (claims: readonly Claim[]): Promise<boolean[]> => settler.extend(claims),
    complete: (claim: Claim, response: StoredResponse | null): Promise<boolean> => settler.complete(claim, response),
    release: (claim: Claim): Promise<boolean> => settler.release(claim),
    get: (id: string): Promise<StoredRecord | null> => decider.get(id),
    waitFor: (id, token, signal) => untilEnded({ get: decider.get, subscribe }, id, token, signal),
    async close () {
      tier.close()
      await mirror.close()
      await link.close()
    }
  }
}
