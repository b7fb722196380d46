import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { answerCalls } from './rpc.mjs'

const agent = new Agent({ keepAlive: true, maxFreeSockets: Infinity })

answerCalls({
  /** Opens so many connections and keeps them, as the balancer before a server would: what is measured is not TCP. */
  async open ({ address, count }) {
    await Promise.all(Array.from({ length: count }, () => send(`${address}/open`, { method: 'GET' })))
  },
  /** Sends the same request over all of them at once. Every answer, `ms` from its own sending to its last byte. */
  async fire ({ url, body, key, count }) {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'idempotency-key': key }
    return await Promise.all(Array.from({ length: count }, () => send(url, { method: 'POST', headers }, body)))
  }
})

async function send (url, options, body) {
  const sent = performance.now()
  const asked = request(url, { agent, ...options }).end(body)
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { ms: performance.now() - sent, reused: asked.reusedSocket, status: response.statusCode, how: response.headers['idempotency-status'], body: text }
}
