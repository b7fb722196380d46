import Fastify from 'fastify'
import t from 'tap'
import health from '../../plugins/health/index.js'
import metrics from '../../plugins/metrics/index.js'

for (const [code, plugin] of [['FST_HEALTH_OPTION_INVALID', health], ['FST_METRICS_OPTION_INVALID', metrics]] as const) {
  await t.test(`${code}: wrong options fail the boot`, async (t) => {
    const refused = async (options: object, message: string): Promise<void> => {
      await t.rejects(async () => { await Fastify().register(plugin, options) }, { code, message })
    }
    await refused({ path: 'status' }, "option `path` must be a path such as `/status`, or an empty text, got 'status' (string)")
    await refused({ path: '/' }, "option `path` must be a path such as `/status`, or an empty text, got '/' (string)")
    await refused({ path: true }, 'option `path` must be a path such as `/status`, or an empty text, got `true` (boolean)')
    await refused({ url: '/status' }, 'option `url` is not known, expected one of path')
  })

  await t.test(`${code}: the routes are where \`path\` says`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(plugin, { path: '/status' })
    t.equal((await app.inject(plugin === health ? '/status/live' : '/status')).statusCode, 200)
  })
}
