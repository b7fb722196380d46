import Fastify from 'fastify'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { build, principal } from './helper.js'

const wrong: Array<[string, unknown]> = [
  ['required', 'yes'], ['required', null],
  ['scope', 'user'], ['scope', null],
  ['lease', 0], ['lease', -1], ['lease', 1.5], ['lease', '30'], ['lease', Infinity],
  ['retention', 0], ['retention', '24h'],
  ['maxResponseBytes', 0], ['maxResponseBytes', '1mb'],
  ['maxRequestBytes', 0], ['maxRequestBytes', '1mb'],
  ['maxKeyLength', 0], ['maxKeyLength', 256],
  ['stored', 'everything'], ['stored', 200],
  ['replayHeaders', 'x-a'], ['replayHeaders', ['X-A']], ['replayHeaders', ['set-cookie']], ['replayHeaders', ['authorization']], ['replayHeaders', ['date']], ['replayHeaders', ['x-csrf-token']], ['replayHeaders', ['client-secret']],
  ['replayHeaders', ['a b']], ['replayHeaders', [1]],
  ['onStoreFailure', 'ignore'],
  ['lease', 2_147_483_648], ['waitTimeout', 0], ['waitTimeout', 2_147_483_648], ['maxExecution', 0], ['maxExecution', 2_147_483_648], ['maxExecution', '10m'],
  ['onConcurrent', 'queue'], ['onConcurrent', true], ['maxWaitersPerKey', 0], ['maxWaitersPerKey', 1.5],
  ['guarantee', 'exactly-once'], ['guarantee', true], ['afterCrash', 'resume'],
  ['fingerprint', 'body'], ['fingerprint', 100], ['fingerprint', null], ['fingerprint', {}], ['fingerprint', []],
  ['fingerprint', { window: 0 }], ['fingerprint', { window: '100' }], ['fingerprint', { window: 1.5 }], ['fingerprint', { window: 100, adaptive: { min: 1, max: 2 } }],
  ['fingerprint', { adaptive: true }], ['fingerprint', { adaptive: { min: 1 } }], ['fingerprint', { adaptive: { min: 2, max: 1 } }], ['fingerprint', { adaptive: { min: 0, max: 1 } }],
  ['fingerprint', { adaptive: { min: 1, max: 2, pace: 1 } }]
]

for (const [name, value] of wrong) {
  const shown = `${name}: ${JSON.stringify(value) ?? String(value)}`
  await t.test(`${shown} fails the boot, of the plugin and of a route`, async (t) => {
    await t.rejects(boot({ [name]: value }), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: new RegExp(`option \`${name}\` must be .*, got `) })
    const app = await build(t)
    t.throws(() => app.post('/pay', { config: { idempotency: { [name]: value } } }, async () => 'ok'),
      { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: new RegExp(`route POST /pay: option \`config\\.idempotency\\.${name}\` must be .*, got `) })
  })
}

const wrongForPlugin: Array<[string, unknown]> = [
  ['store', 'redis'], ['store', {}], ['store', { redis: null }], ['store', { redis: 'redis://x' }], ['store', { mongo: {} }], ['store', { redis: { duplicate () {}, sendCommand () {} } }], ['store', { postgres: {} }], ['store', { redis: undefined }], ['store', undefined], ['store', null],
  ['transactions', 'pool'], ['transactions', null], ['transactions', {}],
  ['principal', 'user'], ['principal', null],
  ['methods', 'POST'], ['methods', ['post']], ['methods', [1]],
  ['prefix', ''], ['prefix', 'a b'], ['prefix', 'x'.repeat(65)], ['prefix', 1],
  ['enabled', 'false'], ['enabled', 0],
  ['rolloutPercent', '50'], ['rolloutPercent', -1], ['rolloutPercent', 100.1], ['rolloutPercent', NaN], ['rolloutPercent', null],
  ['docs', ''], ['docs', 'a b'], ['docs', null],
  ['maxWaiters', 0], ['maxWaiters', '1000'],
  ['localCache', false], ['localCache', null], ['localCache', []], ['localCache', 100], ['localCache', { maxRecords: -1 }], ['localCache', { maxBytes: 1.5 }],
  ['localCache', { maxRecords: '10' }], ['localCache', { max: 10 }],
  ['metrics', true], ['metrics', null], ['metrics', {}]
]

await t.test('wrong options of the plugin fail the boot', async (t) => {
  for (const [name, value] of wrongForPlugin) {
    await t.rejects(boot({ [name]: value }), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: new RegExp(`option \`${name}\` must be `) }, `${name}: ${String(value)}`)
  }
})

await t.test('an unknown option fails the boot and is told what there is', async (t) => {
  await t.rejects(boot({ ttl: 60 }), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: /option `ttl` is not known, expected one of .*lease/ })
  const app = await build(t)
  for (const name of ['ttl', 'store', 'principal', 'methods', 'prefix', 'enabled', 'rolloutPercent', 'docs', 'maxWaiters', 'localCache']) {
    t.throws(() => app.patch('/pay', { config: { idempotency: { [name]: 1 } } }, async () => 'ok'),
      { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: new RegExp(`route PATCH /pay: option \`config\\.idempotency\\.${name}\` is not known`) })
  }
})

await t.test('a config that is no boolean and no object fails the boot, on any method', async (t) => {
  const app = await build(t)
  for (const config of ['yes', 1, null, [], () => true]) {
    t.throws(() => app.route({ method: ['GET', 'PUT'], url: '/pay', config: { idempotency: config as unknown as boolean }, handler: async () => 'ok' }),
      { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: /route GET,PUT \/pay: option `config\.idempotency` must be true, false or an object, got / })
  }
})

await t.test('without a principal the boot fails, unless the scope is written out as public', async (t) => {
  await t.rejects(boot({ principal: undefined }), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: /option `principal` must be a function, unless `scope: 'public'`/ })
  await t.resolves(boot({ principal: undefined, scope: 'public' }))
})

await t.test('a retention shorter than the lease fails the boot: the claim would expire under its handler', async (t) => {
  await t.rejects(boot({ lease: 1_000, retention: 999 }), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: /`retention` must be at least `lease`/ })
  await t.resolves(boot({ lease: 1_000, retention: 1_000 }))
  const app = await build(t)
  t.throws(() => app.post('/pay', { config: { idempotency: { retention: 29_999 } } }, async () => 'ok'),
    { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: /route POST \/pay: .*`retention` must be at least `lease`/ })
})

await t.test('what Postgres has to promise is refused without it, and taken with it', async (t) => {
  for (const guarantee of ['mirrored', 'transactional'] as const) {
    await t.rejects(boot({ guarantee }), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: `option \`guarantee\` must be 'fast' where the store has no postgres, got '${guarantee}' (string)` })
    await t.resolves(boot({ guarantee, store: { postgres: { query () {}, connect () {} } } }))
  }
  await t.resolves(boot({ guarantee: 'fast' }))
  const app = await build(t)
  t.throws(() => app.post('/pay', { config: { idempotency: { guarantee: 'mirrored' } } }, async () => 'ok'),
    { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: /route POST \/pay: option `guarantee` must be 'fast' / })
})

await t.test('double fires of a public scope fail the boot: all people would be one', async (t) => {
  const message = /option `fingerprint` must be false where the scope is 'public', got /
  await t.rejects(boot({ scope: 'public', fingerprint: true }), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message })
  const app = await build(t, { fingerprint: { window: 100 } })
  t.throws(() => app.post('/pay', { config: { idempotency: { scope: 'public' } } }, async () => 'ok'), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message })
  t.doesNotThrow(() => app.post('/pay', { config: { idempotency: { scope: 'public', fingerprint: false } } }, async () => 'ok'))
})

await t.test('an option that is undefined is as if it were absent', async (t) => {
  const app = await build(t, { lease: undefined, stored: undefined, enabled: undefined, rolloutPercent: undefined, methods: undefined, docs: undefined, prefix: undefined })
  app.post('/', { config: { idempotency: { lease: undefined, maxKeyLength: undefined } } }, async () => 'ok')
  t.equal((await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1', 'idempotency-key': 'a' } })).headers['idempotency-status'], 'created')
})

async function boot (options: Record<string, unknown>): Promise<void> {
  const app = Fastify()
  try {
    await app.register(idempotency, { store: 'memory', principal, ...options } as IdempotencyOptions)
    await app.ready()
  } finally {
    await app.close()
  }
}
