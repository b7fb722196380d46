import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerCalls } from '../rpc.mjs'
import { executors } from './executors.mjs'

let executor

const works = {
  nothing: () => {},
  wait: () => sleep(20),
  insert: () => executor.pool.query('INSERT INTO bench_rows DEFAULT VALUES')
}

answerCalls({
  async start ({ kind, ...options }) { executor = await executors[kind](options) },
  /** Runs so many jobs that wait already. µs of one, from the first start to the last end, and of the CPU of this process. */
  async measure ({ count, concurrency, work }) {
    await executor.fill(count)
    let [left, begun, cpu] = [count, null, null]
    const results = new Set()
    const handler = async () => {
      if (begun === null) [begun, cpu] = [performance.now(), process.cpuUsage()]
      await works[work]()
    }
    let stop
    const { wall, user, system } = await new Promise((resolve) => {
      const ended = (result) => {
        results.add(result)
        if (--left === 0) resolve({ wall: performance.now() - begun, ...process.cpuUsage(cpu) })
      }
      const made = executor.work(handler, { concurrency, ended })
      stop = made.stop
      made.start()
    })
    await stop()
    assert.deepEqual([...results], ['done'])
    return { wall: wall * 1_000 / count, cpu: (user + system) / count }
  },
  end: () => executor.end()
})
