import { circuitBreaker, ConsecutiveBreaker, handleAll, isBrokenCircuitError } from 'cockatiel'
import type { Log } from '../../log.js'
import type { Claim, ClaimResult, StoredRecord } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import type { PostgresStore } from './postgres.js'

export interface FailoverStoreOptions {
  redis: IdempotencyStore
  postgres: PostgresStore
  log: Log
  /** How long Redis is left alone after it failed, ms. Default: 1,000. */
  retryAfter?: number
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
}

/** Failures in a row after which Redis is no longer tried: a server that hangs costs each try a whole command timeout. */
const threshold = 3

/**
 * Redis, and Postgres while Redis cannot be had. A claim is finished where it was made, or in Postgres when Redis is gone by then. After an
 * outage a key that is new to Redis is looked up in Postgres too, until every record made during the outage has expired.
 */
export function createFailoverStore ({ redis, postgres, log, retryAfter = 1_000, now = () => performance.now() }: FailoverStoreOptions): IdempotencyStore {
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: retryAfter, breaker: new ConsecutiveBreaker(threshold) })
  breaker.onBreak(() => log.warn({}, 'Redis cannot be had: keys are claimed in Postgres'))
  breaker.onReset(() => log.info({}, 'Redis is back: keys are claimed there again'))
  const inPostgres = new Set<string>()
  const recall = createRecall(postgres, log, now)

  const tryRedis = async <T>(claim: Claim, viaRedis: () => Promise<T>, viaPostgres: () => Promise<T>): Promise<T> => {
    try {
      return await breaker.execute(viaRedis)
    } catch (err) {
      if (!isBrokenCircuitError(err)) log.warn({ err }, 'a call to Redis failed: Postgres serves it')
      recall.extend(claim.retention)
      return await viaPostgres()
    }
  }
  const claimInPostgres = async (claim: Claim): Promise<ClaimResult> => {
    const result = await postgres.claim(claim)
    if (result.state === 'claimed') inPostgres.add(claim.token)
    return result
  }
  /** Calls the store that holds the claim. */
  const atHolder = (claim: Claim, viaRedis: () => Promise<boolean>, viaPostgres: () => Promise<boolean>, ifRedisFails: () => Promise<boolean>): Promise<boolean> =>
    inPostgres.has(claim.token) ? viaPostgres() : tryRedis(claim, viaRedis, ifRedisFails)

  return {
    async claim (claim) {
      const result = await tryRedis(claim, () => redis.claim(claim), () => claimInPostgres(claim))
      if (inPostgres.has(claim.token) || !isOpen(result)) return result
      const giveBack = async (): Promise<void> => {
        if (result.state === 'claimed') await tryRedis(claim, () => redis.release(claim), async () => false)
      }
      try {
        const earlier = await recall.find(claim, result)
        if (earlier !== null) await giveBack()
        return earlier ?? result
      } catch (error) {
        await giveBack() // the request does not run under this claim: a retry must not wait for its lease
        throw error
      }
    },
    extend: (claim) => atHolder(claim, () => redis.extend(claim), () => postgres.extend(claim),
      async () => (await claimInPostgres(claim)).state === 'claimed'),
    async complete (claim, response) {
      const done = await atHolder(claim, () => redis.complete(claim, response), () => postgres.complete(claim, response),
        async () => (await claimInPostgres(claim)).state === 'claimed' && await postgres.complete(claim, response))
      inPostgres.delete(claim.token)
      return done
    },
    async release (claim) {
      const done = await atHolder(claim, () => redis.release(claim), () => postgres.release(claim), async () => false)
      inPostgres.delete(claim.token)
      return done
    },
    async get (id) {
      const found = await breaker.execute(() => redis.get(id)).catch(() => null)
      return found === null || found.state === 'running' ? await postgres.get(id) ?? found : found
    }
  }
}

/** A finished record is final; a claim, ours or another's, may be contradicted by what Postgres has seen. */
function isOpen (result: ClaimResult): boolean {
  return result.state === 'claimed' || result.state === 'running'
}

interface Recall {
  /** Called when Redis failed: records may be made in Postgres from now on. */
  extend: (retention: number) => void
  /** The record that Postgres holds for the key, or null when it holds none or need not be asked. `seen` is what Redis says of it. */
  find: (claim: Claim, seen: ClaimResult) => Promise<StoredRecord | null>
}

/** A process that had an answer from Redis this short a time ago, ms, would have noticed an outage. One that was idle may have slept through it. */
const attentive = 100

/** Remembers until when Postgres may know a key that Redis does not: because of our own outages, of other processes' and of earlier ones'. */
function createRecall (postgres: PostgresStore, log: Log, now: () => number): Recall {
  let until = 0
  let lastFind: number | null = null

  const catchUp = async (): Promise<void> => {
    try {
      const lifetime = await postgres.lifetime()
      until = Math.max(until, now() + lifetime)
    } catch (err) {
      // Nothing is known yet, or something is to be found there: the key cannot be judged. Else Redis goes on alone.
      if (lastFind === null || now() < until) throw err
      log.warn({ err }, 'Postgres cannot be asked whether there was an outage of Redis')
    }
  }

  return {
    extend (retention) {
      until = Math.max(until, now() + retention)
    },
    async find ({ id, token }, seen) {
      if (lastFind === null || now() - lastFind > attentive) await catchUp()
      lastFind = now()
      // A claim that was left behind in Redis may be that of a request whose reply from Redis was late and which was then finished in Postgres.
      const left = seen.state === 'claimed' && seen.recovered
      if (now() >= until && !left) return null
      const record = await postgres.get(id)
      return record === null || record.token === token || (record.state === 'running' && record.leaseLeft <= 0) ? null : record
    }
  }
}
