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
  response: { 201: { type: 'object', properties: { id: integer, amount: integer, currency: text, status: text } } }
}

const fastify = Fastify()
let handled = 0

answerCalls({
  async start ({ guard, ...settings }) {
    const { protect } = await import(`./guards/${guard}.mjs`)
    await protect(fastify, settings)
    fastify.post('/orders', { schema }, async ({ body: { amount, currency } }, reply) => {
      handled++
      reply.code(201).header('location', `/orders/${handled}`)
      return { id: handled, amount, currency, status: 'accepted' }
    })
    return await fastify.listen({ host: '127.0.0.1', port: 0 })
  },
  async usage () {
    const { user, system } = process.cpuUsage()
    return { handled, cpu: user + system }
  }
})
