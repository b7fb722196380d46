import { Readable } from 'node:stream'
import etag from '@fastify/etag'
import Fastify from 'fastify'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import { post, principal } from './helper.js'

for (const etagFirst of [true, false]) {
  await t.test(`a replay has the ETag of the first answer, and is 304 for who has it, with @fastify/etag registered ${etagFirst ? 'before' : 'after'} the plugin`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    if (etagFirst) await app.register(etag)
    await app.register(idempotency, { store: 'memory', principal })
    if (!etagFirst) await app.register(etag)
    let runs = 0
    app.post('/text', async () => { runs++; return 'text' })
    app.post('/own', async (request, reply) => { runs++; return reply.header('etag', '"own"').send('own') })
    app.post('/stream', async (request, reply) => { runs++; return reply.header('etag', '"own"').type('text/plain').send(Readable.from(['stream'])) })
    for (const url of ['/text', '/own', '/stream']) {
      const first = await post(app, url)
      const tag = String(first.headers.etag)
      t.match(tag, /^".+"$/)
      t.match(await post(app, url), { statusCode: 200, payload: first.payload, headers: { etag: tag, 'idempotent-replayed': 'true' } })
      t.match(await post(app, url, { headers: { 'if-none-match': tag } }), { statusCode: 304, payload: '', headers: { etag: tag, 'idempotent-replayed': 'true' } })
      t.match(await post(app, url, { headers: { 'if-none-match': '"other"' } }), { statusCode: 200, payload: first.payload })
    }
    t.equal(runs, 3)
  })
}
