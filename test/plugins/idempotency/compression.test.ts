import { Readable } from 'node:stream'
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import Fastify from 'fastify'
import type { FastifyInstance, LightMyRequestResponse, RouteHandlerMethod } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import { post, principal } from './helper.js'

const text = 'compressible '.repeat(1_000)

const kinds: Record<string, RouteHandlerMethod> = {
  text: async (request, reply) => reply.type('text/plain').send(text),
  json: async () => ({ text }),
  bytes: async (request, reply) => reply.type('text/plain').send(Buffer.from(text)),
  stream: async (request, reply) => reply.type('text/plain').send(Readable.from([text.slice(0, 5_000), text.slice(5_000)])),
  response: async (request, reply) => reply.send(new Response(text))
}

for (const compressFirst of [true, false]) {
  const order = `@fastify/compress registered ${compressFirst ? 'before' : 'after'} the plugin`
  for (const syncThreshold of [0, 1_000_000]) {
    await t.test(`each answer is compressed as its own request asks, with ${order}${syncThreshold > 0 ? ', in one piece' : ''}`, async (t) => {
      const app = await build(t, compressFirst, syncThreshold)
      let runs = 0
      for (const [kind, handler] of Object.entries(kinds)) app.post(`/${kind}`, function (request, reply) { runs++; return handler.call(this, request, reply) })
      for (const kind of Object.keys(kinds)) {
        for (const [accepted, expected] of [['gzip', 'gzip'], ['br', 'br'], ['identity', undefined], [undefined, undefined], ['gzip', 'gzip']] as const) {
          const answer = await post(app, `/${kind}`, { headers: { 'accept-encoding': accepted } })
          t.equal(answer.headers['content-encoding'], expected, kind)
          t.equal(unpacked(answer), kind === 'json' ? JSON.stringify({ text }) : text)
        }
      }
      t.equal(runs, Object.keys(kinds).length)
    })
  }

  await t.test(`what a handler has compressed itself is replayed as it is, with ${order}`, async (t) => {
    const app = await build(t, compressFirst, 0)
    const packed = gzipSync(text)
    const header = { 'content-type': 'text/plain', 'content-encoding': 'gzip' }
    app.post('/bytes', async (request, reply) => reply.headers(header).send(packed))
    app.post('/stream', async (request, reply) => reply.headers(header).send(Readable.from([packed])))
    app.post('/compress', (request, reply) => { reply.type('text/plain').compress(text) })
    for (const url of ['/bytes', '/stream', '/compress']) {
      const first = await post(app, url, { headers: { 'accept-encoding': 'gzip' } })
      t.equal(unpacked(first), text)
      for (const accepted of ['br', 'gzip', undefined]) {
        const replay = await post(app, url, { headers: { 'accept-encoding': accepted } })
        t.match(replay.headers, { 'content-encoding': 'gzip', 'idempotent-replayed': 'true' }, url)
        t.ok(replay.rawPayload.equals(first.rawPayload))
      }
    }
  })
}

async function build (t: Test, compressFirst: boolean, syncThreshold: number): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  if (compressFirst) await app.register(compress, { syncThreshold })
  await app.register(idempotency, { store: 'memory', principal })
  if (!compressFirst) await app.register(compress, { syncThreshold })
  return app
}

function unpacked ({ headers, rawPayload }: LightMyRequestResponse): string {
  if (headers['content-encoding'] === 'gzip') return gunzipSync(rawPayload).toString()
  return (headers['content-encoding'] === 'br' ? brotliDecompressSync(rawPayload) : rawPayload).toString()
}
