import { Mutex } from 'async-mutex'
import { createAsyncLock } from '../../dist/services/concurrency/async-lock.js'
import { answerCalls } from '../rpc.mjs'

const [lock, mutex] = [createAsyncLock({ name: 'bench' }), new Mutex()]
const kinds = { ours: (work) => lock.run('key', work), theirs: (work) => mutex.runExclusive(work) }

answerCalls({
  /** Runs a ms. */
  async measure ({ kind, parallel, runs }) {
    const [run, start] = [kinds[kind], performance.now()]
    let count = 0
    await Promise.all(Array.from({ length: parallel }, async () => {
      for (; count < runs; count++) await run(async () => {})
    }))
    return count / (performance.now() - start)
  }
})
