import type { Pool } from 'pg'
import type { Queue } from 'bullmq'
import type { Cluster, Redis } from 'ioredis'
import type { Log } from '../log.js'
import { createLedger } from './ledger.js'
import type { QueuedRun } from './ledger.js'

export interface RelayDeps {
  pool: Pool
  queue: Pick<Queue, 'addBulk' | 'toKey'>
  /** Of the queue. */
  connection: Redis | Cluster
  log: Log
  /**
   * A run that was enqueued so long ago, ms, and not started, is looked for in the queue. It is still there when there is much to do; it is gone, and added
   * again, when Redis lost it.
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
  /** Not started for long: looked for in the queue, and added again where they were not there. */
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
const againBatches = 5

export function createRelay ({ pool, queue, connection, log, repairAfter = 5_000, batch = 1_000 }: RelayDeps): Relay {
  const ledger = createLedger(pool)
  const add = async (runs: readonly QueuedRun[]): Promise<number> => {
    if (runs.length > 0) await queue.addBulk(runs.map(toJob))
    return runs.length
  }
  const relay = async (limit: number): Promise<number> => await add(await ledger.relay(limit))
  return {
    ...createWaking(async () => await relay(batch) === batch, log),
    relay,
    async repair () {
      const takenBack = await ledger.takeBack(batch)
      for (const { id, name, worker } of takenBack) log.warn({ run: id, job: name, worker }, 'the lease of a run is past: it runs again')
      const again = await byBatches(batch, async () => {
        const runs = await ledger.again(repairAfter, batch)
        await add(await lost(runs, queue, connection))
        return runs.length
      })
      const dropped = await ledger.drop(batch)
      for (const { id, name } of dropped) log.info({ run: id, job: name }, 'a run was cancelled before it was started')
      const schedules = await ledger.heldByNothing(batch)
      const promoted = schedules.length > 0 ? await ledger.promote(schedules) : 0
      return { again, takenBack: takenBack.length, dropped: dropped.length, promoted }
    }
  }
}

/** @param relay whether there may be more */
function createWaking (relay: () => Promise<boolean>, log: Log): Pick<Relay, 'wake' | 'close'> {
  const wanted = { isAsked: false, isClosed: false }
  let waking: Promise<void> | null = null

  async function drain (): Promise<void> {
    while (wanted.isAsked && !wanted.isClosed) {
      wanted.isAsked = false
      if (await relay()) wanted.isAsked = true
    }
  }
  return {
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

/** One after the other, because to add takes memory. How many in all. */
async function byBatches (batch: number, addBatch: () => Promise<number>): Promise<number> {
  let count = 0
  for (let batches = 1; batches <= againBatches; batches++) {
    count += await addBatch()
    if (count < batches * batch) break
  }
  return count
}

/** Those that are not in the queue. To add one that is there comes to nothing as well, but a backlog of thousands would cost as much as the runs themselves. */
async function lost (runs: readonly QueuedRun[], queue: Pick<Queue, 'toKey'>, connection: Redis | Cluster): Promise<QueuedRun[]> {
  if (runs.length === 0) return []
  const pipeline = connection.pipeline()
  for (const run of runs) pipeline.exists(queue.toKey(jobIdOf(run)))
  const answers = await pipeline.exec() ?? []
  return runs.filter((_run, index) => answers[index]?.[1] !== 1)
}

/** BullMQ keeps no job that has ended: the ledger does. The same id is ignored while the job is there. */
function toJob (run: QueuedRun): Parameters<Queue['addBulk']>[0][number] {
  return { name: run.name, data: { run: run.id }, opts: { jobId: jobIdOf(run), removeOnComplete: true, removeOnFail: true } }
}

function jobIdOf ({ id, enqueues }: QueuedRun): string {
  return `${id}-${enqueues}`
}
