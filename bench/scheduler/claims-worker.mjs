import { createPool } from '../../dist/services/database/pool.js'
import { silentLog } from '../../dist/services/log.js'
import { createClaiming } from '../../dist/services/scheduler/claiming.js'
import { answerCalls } from '../rpc.mjs'

let pool
let claiming

answerCalls({
  async start ({ databaseUrl }) {
    pool = createPool({ url: databaseUrl, size: 1, log: silentLog })
    claiming = createClaiming({ pool })
  },
  /** Claims all that is due. How many, and ms. */
  async claim () {
    const start = performance.now()
    let count = 0
    for (let claimed; (claimed = await claiming.claim(1_000)) > 0;) count += claimed
    return { count, ms: performance.now() - start }
  },
  end: () => pool.end()
})
