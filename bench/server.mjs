import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import { answerCalls } from './rpc.mjs'

const text = { type: 'string' }
const integer = { type: 'integer' }

const schema = {
  body: {
    type: 'object',
    required: ['customer', 'amount', 'currency', 'lines'],
    properties: {
      customer: text,
      amount: integer,
      currency: text,
      lines: { type: 'array', items: { type: 'object', properties: { article: text, quantity: integer } } }
    }
  },
  response: { 201: { type: 'object', properties: { id: integer, amount: integer, currency: text, status: text, note: text } } }
}

const fastify = Fastify()
let handled = 0

answerCalls({
  /** @param work how long the handler takes, ms; `note` is sent with every answer */
  async start ({ guard, work = 0, note, ...settings }) {
    const { protect } = await import(`./guards/${guard}.mjs`)
    const transaction = await protect(fastify, settings)
    fastify.post('/orders', { schema }, transaction === undefined ? accept : (request, reply) => transaction(reply, (tx) => insert(tx, request)))
    fastify.get('/open', async () => await delay(100, 'open')) // holds the connection until the others are open too
    return await fastify.listen({ host: '127.0.0.1', port: 0 })

    async function accept ({ body: { amount, currency } }, reply) {
      const id = ++handled
      if (work > 0) await delay(work)
      reply.code(201).header('location', `/orders/${id}`)
      return { id, amount, currency, status: 'accepted', note }
    }
  },
  async usage () {
    const { user, system } = process.cpuUsage()
    return { handled, cpu: user + system }
  },
  /** Of live objects, bytes; needs --expose-gc. */
  async heap () {
    for (let i = 0; i < 3; i++) {
      globalThis.gc()
      await delay(50) // finalizers and what they free
    }
    const { heapUsed, external, rss } = process.memoryUsage()
    return { heapUsed, external, rss }
  }
})

/** The work of a handler with a database: one row, through a model of Prisma. */
async function insert (tx, { body: { amount, currency } }) {
  const id = ++handled
  await tx.user.create({ data: { email: `${randomUUID()}@example.com`, passwordHash: '' } })
  return { status: 201, headers: { location: `/orders/${id}` }, body: { id, amount, currency, status: 'accepted' } }
}
