import type { Pool } from 'pg'
import type { Queue } from 'bullmq'
import type { Log } from '../log.js'
import { createLedger } from './ledger.js'
import type { QueuedRun } from './ledger.js'

export interface RelayDeps {
  pool: Pool
  queue: Pick<Queue, 'addBulk'>
  log: Log
  /**
   * A run that was enqueued so long ago, ms, and not started, is added to the queue again. It is still there when there is much to do, and then nothing
   * comes of it; it is gone when Redis lost it.
   * @default 5_000
   */
  repairAfter?: number
  /**
   * Rows of one statement.
   * @default 1_000
   */
  batch?: number
}

export interface Repaired {
  /** Added to the queue again. */
  again: number
  /** Taken from processes that died. */
  takenBack: number
  /** Cancelled before they were handed to anybody. */
  dropped: number
  /** Let go, because nothing holds them back any more. */
  promoted: number
}

export interface Relay {
  /**
   * Hands pending runs that are due to BullMQ, `limit` at most: the row first, so that a crash or a Redis that is away loses nothing; `repair` finds it.
   * @returns how many. Less than `limit`: there were no more.
   * @throws what Redis or Postgres fails with
   */
  relay: (limit: number) => Promise<number>
  /** Sets right what crashes and a Redis that lost its data left behind. @throws what Redis or Postgres fails with */
  repair: () => Promise<Repaired>
  /** Relays soon, without waiting for the next tick. One at a time, however often it is called. */
  wake: () => void
  /** Wakes no more, and waits for what was woken. */
  close: () => Promise<void>
}

/** Redis may have lost very many at once, and they are to go on within seconds. */
const againPerBatch = 5

export function createRelay ({ pool, queue, log, repairAfter = 5_000, batch = 1_000 }: RelayDeps): Relay {
  const ledger = createLedger(pool)
  const wanted = { isAsked: false, isClosed: false }
  let waking: Promise<void> | null = null

  const add = async (runs: readonly QueuedRun[]): Promise<number> => {
    if (runs.length > 0) await queue.addBulk(runs.map(toJob))
    return runs.length
  }
  const relay = async (limit: number): Promise<number> => await add(await ledger.relay(limit))

  async function drain (): Promise<void> {
    while (wanted.isAsked && !wanted.isClosed) {
      wanted.isAsked = false
      if (await relay(batch) === batch) wanted.isAsked = true
    }
  }
  return {
    relay,
    async repair () {
      const takenBack = await ledger.takeBack(batch)
      for (const { id, name, worker } of takenBack) log.warn({ run: id, job: name, worker }, 'the lease of a run is past: it runs again')
      const again = await add(await ledger.again(repairAfter, againPerBatch * batch))
      const dropped = await ledger.drop(batch)
      for (const { id, name } of dropped) log.info({ run: id, job: name }, 'a run was cancelled before it was started')
      const schedules = await ledger.heldByNothing(batch)
      const promoted = schedules.length > 0 ? await ledger.promote(schedules) : 0
      return { again, takenBack: takenBack.length, dropped: dropped.length, promoted }
    },
    wake () {
      wanted.isAsked = true
      if (wanted.isClosed || waking !== null) return
      waking = drain().catch((err: unknown) => { log.warn({ err }, 'the relay failed: the next tick relays') }).finally(() => { waking = null })
    },
    async close () {
      wanted.isClosed = true
      await waking
    }
  }
}

/** BullMQ keeps no job that has ended: the ledger does. The same id is ignored while the job is there. */
function toJob ({ id, name, enqueues }: QueuedRun): Parameters<Queue['addBulk']>[0][number] {
  return { name, data: { run: id }, opts: { jobId: `${id}-${enqueues}`, removeOnComplete: true, removeOnFail: true } }
}
