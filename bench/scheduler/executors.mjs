import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { createPool } from '../../dist/services/database/pool.js'
import { silentLog } from '../../dist/services/log.js'
import { createExecutor } from '../../dist/services/scheduler/executor.js'
import { openQueue, runsQueue } from '../../dist/services/scheduler/queues.js'
import { createRelay } from '../../dist/services/scheduler/relay.js'

/** Jobs of one `addBulk`. */
const batch = 1_000
const done = { removeOnComplete: true, removeOnFail: true }

/**
 * What runs the jobs of a queue. `fill` puts so many in, due now. `work` makes what takes them, so many at once, and calls `ended` when one has ended: `start`
 * and `stop`. `end` closes what was opened.
 */
export const executors = {
  async holdfast ({ redisUrl, databaseUrl, prefix }) {
    const redis = new Redis(redisUrl)
    const pool = createPool({ url: databaseUrl, size: 10, log: silentLog })
    const deps = { redis, pool, prefix, log: silentLog, worker: 'bench', onPending () {} }
    const { queue, connection, close } = await openQueue(runsQueue, deps)
    const relay = createRelay({ ...deps, queue, connection })
    return {
      pool,
      async fill (count) {
        await pool.query("INSERT INTO scheduler_runs (name, kind, tick, state, due_at) SELECT 'job', 'enqueued', now(), 'pending', now() FROM generate_series(1, $1)", [count])
        while (await relay.relay(batch) === batch);
      },
      work (handler, { concurrency, ended }) {
        const job = { handler, timeout: 600_000, retries: 0, backoff: { minDelay: 1_000, maxDelay: 300_000 }, maxStarts: 5, checkPayload: null }
        const executor = createExecutor({ ...deps, concurrency, jobOf: () => job, observer: { started () {}, ended: (_run, result) => ended(result) } })
        return { start: executor.start, stop: () => executor.stop(5_000) }
      },
      async end () {
        await relay.close()
        await close()
        redis.disconnect()
        await pool.end()
      }
    }
  },
  async bullmq ({ redisUrl, databaseUrl, prefix }) {
    const redis = new Redis(redisUrl, { maxRetriesPerRequest: null })
    const pool = createPool({ url: databaseUrl, size: 10, log: silentLog })
    const options = { connection: redis, prefix: `{${prefix}}` }
    const queue = new Queue('bare', options)
    return {
      pool,
      async fill (count) {
        for (let added = 0; added < count; added += batch) {
          await queue.addBulk(Array.from({ length: Math.min(count - added, batch) }, (_, index) => ({ name: 'job', data: { run: added + index }, opts: done })))
        }
      },
      work (handler, { concurrency, ended }) {
        const worker = new Worker('bare', async () => { await handler() }, { ...options, connection: redis.duplicate(), concurrency, autorun: false })
        worker.on('completed', () => ended('done')).on('failed', () => ended('failed'))
        return { start () { worker.run().catch(console.error) }, stop: () => worker.close() }
      },
      async end () {
        await queue.close()
        redis.disconnect()
        await pool.end()
      }
    }
  }
}
