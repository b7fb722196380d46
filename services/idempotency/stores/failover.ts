import { circuitBreaker, ConsecutiveBreaker, handleAll, isBrokenCircuitError } from 'cockatiel'
import type { Log } from '../../log.js'
import type { Claim, ClaimResult, StoredRecord } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import { untilEnded } from '../wait.js'
import type { PostgresStore } from './postgres.js'
import { createRecall } from './recall.js'
import type { Recall } from './recall.js'

export interface FailoverStoreOptions {
  redis: IdempotencyStore
  postgres: PostgresStore
  log: Log
  /** How long Redis is left alone after it failed, ms. Default: 1,000. */
  retryAfter?: number
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
}

/**
 * Redis, and Postgres while Redis cannot be had. A claim is finished where it was made, or in Postgres when Redis is gone by then. After an
 * outage a key that is new to Redis is looked up in Postgres too, until every record made during the outage has expired.
 */
export function createFailoverStore ({ redis, postgres, log, retryAfter = 1_000, now = () => performance.now() }: FailoverStoreOptions): IdempotencyStore {
  const inPostgres = new Set<string>()
  const recall = createRecall(postgres, log, now)
  const tryRedis = createSwitch(log, retryAfter, recall)

  const claimInPostgres = async (claim: Claim): Promise<ClaimResult> => {
    const result = await postgres.claim(claim)
    if (result.state === 'claimed') inPostgres.add(claim.token)
    return result
  }
  /** Calls the store that holds the claim. */
  const atHolder = async (claim: Claim, viaRedis: () => Promise<boolean>, viaPostgres: () => Promise<boolean>, ifRedisFails: () => Promise<boolean>): Promise<boolean> =>
    inPostgres.has(claim.token) ? await viaPostgres() : await tryRedis(claim, viaRedis, ifRedisFails)
  const forget = (claim: Claim) => (done: boolean): boolean => {
    inPostgres.delete(claim.token)
    return done
  }
  const get = async (id: string): Promise<StoredRecord | null> => {
    const found = await tryRedis({ retention: 0 }, () => redis.get(id), async () => null)
    return found === null || found.state === 'running' ? await postgres.get(id) ?? found : found
  }

  return {
    async claim (claim) {
      const result = await tryRedis(claim, () => redis.claim(claim), () => claimInPostgres(claim))
      if (inPostgres.has(claim.token) || !isOpen(result)) return result
      return await confirm(claim, result, recall, async () => { await tryRedis(claim, () => redis.release(claim), async () => false) })
    },
    extend: (claims) => Promise.all(claims.map((claim) => atHolder(claim, async () => await redis.extend([claim]).then(([done]) => done === true),
      async () => await postgres.extend([claim]).then(([done]) => done === true), async () => (await claimInPostgres(claim)).state === 'claimed'))),
    complete: (claim, response) => atHolder(claim, () => redis.complete(claim, response), () => postgres.complete(claim, response),
      async () => (await claimInPostgres(claim)).state === 'claimed' && await postgres.complete(claim, response)).then(forget(claim)),
    release: (claim) => atHolder(claim, () => redis.release(claim), () => postgres.release(claim), async () => false).then(forget(claim)),
    get,
    waitFor: (id, token, signal) => untilEnded({ get }, id, token, signal)
  }
}

/** Failures in a row after which Redis is no longer tried: a server that hangs costs each try a whole command timeout. */
const threshold = 3

type Switch = <T>(claim: Pick<Claim, 'retention'>, viaRedis: () => Promise<T>, viaPostgres: () => Promise<T>) => Promise<T>

/** Calls Redis behind a circuit breaker, and the other when that fails. */
function createSwitch (log: Log, retryAfter: number, recall: Recall): Switch {
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: retryAfter, breaker: new ConsecutiveBreaker(threshold) })
  breaker.onBreak(() => log.warn({}, 'Redis cannot be had: keys are claimed in Postgres'))
  breaker.onReset(() => log.info({}, 'Redis is back: keys are claimed there again'))
  return async ({ retention }, viaRedis, viaPostgres) => {
    try {
      return await breaker.execute(viaRedis)
    } catch (err) {
      if (!isBrokenCircuitError(err)) log.warn({ err }, 'a call to Redis failed: Postgres serves it')
      recall.extend(retention)
      return await viaPostgres()
    }
  }
}

/** What Redis says of a key, unless Postgres knows better: then the claim is given back. */
async function confirm (claim: Claim, result: ClaimResult, recall: Recall, giveBack: () => Promise<void>): Promise<ClaimResult> {
  const giveBackOwn = async (): Promise<void> => { if (result.state === 'claimed') await giveBack() }
  try {
    const earlier = await recall.find(claim, result)
    if (earlier !== null) await giveBackOwn()
    return earlier ?? result
  } catch (error) {
    await giveBackOwn() // the request does not run under this claim: a retry must not wait for its lease
    throw error
  }
}

/** A finished record is final; a claim, ours or another's, may be contradicted by what Postgres has seen. */
function isOpen (result: ClaimResult): boolean {
  return result.state === 'claimed' || result.state === 'running'
}
