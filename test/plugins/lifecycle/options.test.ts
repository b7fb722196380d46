import t from 'tap'
import { checkOptions } from '../../../plugins/lifecycle/rules.js'
import { build } from './helper.js'

await t.test('wrong options fail the boot', async (t) => {
  const message = async (options: object): Promise<string> => await build(t, options).then(() => 'accepted', (error: Error) => error.message)
  t.equal(await message({ deadline: '25000' }), 'option `deadline` must be an integer from 100 to 2147483647 (ms), got \'25000\' (string)')
  t.equal(await message({ signals: 'yes' }), "option `signals` must be true or false, got 'yes' (string)")
  t.equal(await message({ preStopDelay: -1 }), 'option `preStopDelay` must be an integer from 0 to 2147483647 (ms), got `-1` (number)')
  t.equal(await message({ deadline: 1_000, preStopDelay: 500, abortGrace: 500 }), 'option `deadline` must be longer than `preStopDelay` and `abortGrace` together (1000 ms), got `1000` (number)')
})

await t.test('one application of a process has the signals, until it is closed', async (t) => {
  const before = process.listenerCount('SIGTERM')
  const first = await build(t, { signals: true })
  t.equal(process.listenerCount('SIGTERM'), before + 1)
  await t.rejects(build(t, { signals: true }), { code: 'FST_LIFECYCLE_SIGNALS_TAKEN' })
  await first.close()
  t.equal(process.listenerCount('SIGTERM'), before)
  t.equal(process.listenerCount('uncaughtException'), 0)
  await (await build(t, { signals: true })).close()
})

await t.test('a delay that Fastify would cut off is refused, unless signals stop the server', async (t) => {
  const refusal = { code: 'FST_LIFECYCLE_OPTION_INVALID', message: 'option `preStopDelay` must be shorter than Fastify\'s `pluginTimeout` (10000 ms) without `signals`, got `10000` (number)' }
  await t.rejects(build(t, { preStopDelay: 10_000 }), refusal)
  t.match(checkOptions({ preStopDelay: 10_000, signals: true }, 10_000), { preStopDelay: 10_000 })
  t.match(checkOptions({ preStopDelay: 10_000 }, 0), { preStopDelay: 10_000 })
})
