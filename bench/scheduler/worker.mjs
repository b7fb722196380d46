import Fastify from 'fastify'
import { Redis } from 'ioredis'
import scheduler from '../../dist/plugins/scheduler/index.js'
import { createPool } from '../../dist/services/database/pool.js'
import { silentLog } from '../../dist/services/log.js'
import { answerCalls } from '../rpc.mjs'

const app = Fastify()
const ran = []
const highest = { rss: 0 }
const atFirst = process.memoryUsage()
let closeClients

function lookAtMemory () {
  highest.rss = Math.max(highest.rss, process.memoryUsage.rss())
}

/** A process of an application with the plugin. */
answerCalls({
  async start ({ redisUrl, databaseUrl, prefix, roles = ['web', 'worker'], jobs = [] }) {
    const redis = new Redis(redisUrl)
    const pool = createPool({ url: databaseUrl, size: 10, log: silentLog })
    closeClients = async () => {
      redis.disconnect()
      await pool.end()
    }
    await app.register(scheduler, { redis, postgres: pool, prefix, roles, metrics: false })
    for (const job of jobs) app.scheduler.define(job, ({ id }) => { ran.push(id) })
    setInterval(lookAtMemory, 20).unref()
    await app.ready()
  },
  /** Each call adds the schedules of some owners, 16 at a time. */
  async upsert (schedules) {
    const queue = schedules.values()
    await Promise.all(Array.from({ length: 16 }, async () => {
      for (const { owner, ...schedule } of queue) await app.scheduler.forOwner(owner).upsert(schedule)
    }))
  },
  /** Ids of the runs that were begun here, each time that they were. */
  ran: async () => ran,
  /** Bytes, when nothing but modules was loaded and since then. */
  memory: async () => ({ atFirst, highest }),
  async end () {
    await app.close()
    await closeClients()
  }
})
