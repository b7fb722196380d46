import type pg from 'pg'
import { test } from 'tap'
import { silentLog } from '../../../services/log.js'
import { createClaiming } from '../../../services/scheduler/claiming.js'
import { toDefinition } from '../../../services/scheduler/definition.js'
import type { DefinitionOptions } from '../../../services/scheduler/definition.js'
import { createReconciling } from '../../../services/scheduler/reconciling.js'
import { createZones, tzRelease } from '../../../services/scheduler/zones.js'
import { testPool, until } from '../../helper.js'
import { addDue, scheduleOf } from './rows.js'

const hour = 3_600_000
const idle = new AbortController().signal

/** As if another release had computed these ticks, so many ms from now. */
async function computedBy (pool: pg.Pool, release: string, schedules: DefinitionOptions[], from: number): Promise<Map<string, Date>> {
  const ticks = await addDue(pool, schedules, -from)
  await pool.query('UPDATE schedules SET tz_release = $1', [release])
  return ticks
}

const yearly = (name: string, more: Partial<DefinitionOptions> = {}): DefinitionOptions => ({ name, cron: '0 9 1 1 *', timezone: 'Europe/Berlin', ...more })

await test('A tick to come that an older tz database has computed is computed again, and one that is due stays', async (t) => {
  const pool = await testPool(t)
  await computedBy(pool, '2020a', [yearly('moved'), yearly('utc', { timezone: 'UTC' }), { name: 'interval', every: hour, timezone: 'Europe/Berlin' }], 5 * hour)
  const before = await Promise.all(['utc', 'interval'].map((name) => scheduleOf(pool, name)))
  const due = (await addDue(pool, [yearly('due')], 60_000)).get('due')
  await pool.query("UPDATE schedules SET tz_release = '2020a'")
  t.equal(await createZones({ pool, release: '2026z' }).refresh(idle), 2)
  const moved = await scheduleOf(pool, 'moved')
  t.match(moved.next_at?.toISOString(), /-01-01T08:00:00.000Z$/)
  t.same((await scheduleOf(pool, 'due')).next_at, due)
  t.same(await Promise.all(['utc', 'interval'].map(async (name) => (await scheduleOf(pool, name)).next_at)), before.map((row) => row.next_at))
  t.equal(await createZones({ pool, release: '2026z' }).refresh(idle), 0, 'once')
})

await test('A process with an older tz database than that of the tick leaves it alone', async (t) => {
  const pool = await testPool(t)
  const kept = (await computedBy(pool, '2026z', [yearly('kept')], 5 * hour)).get('kept')
  t.equal(await createZones({ pool, release: '2026a' }).refresh(idle), 0)
  t.same((await scheduleOf(pool, 'kept')).next_at, kept)
})

await test('A zone that this process does not know holds up no other', async (t) => {
  const pool = await testPool(t)
  const ticks = await computedBy(pool, '2020a', [yearly('unknown'), yearly('known')], 5 * hour)
  await pool.query("UPDATE schedules SET timezone = 'Europe/Atlantis' WHERE name = 'unknown'")
  t.equal(await createZones({ pool, release: '2026z' }).refresh(idle), 2)
  t.same((await scheduleOf(pool, 'unknown')).next_at, ticks.get('unknown'))
  t.not((await scheduleOf(pool, 'known')).next_at?.getTime(), ticks.get('known')?.getTime())
})

await test('All batches are looked at, until the signal aborts', async (t) => {
  const pool = await testPool(t)
  await computedBy(pool, '2020a', Array.from({ length: 1_001 }, (_, index) => yearly(`job-${index}`)), 5 * hour)
  t.equal(await createZones({ pool, release: '2026z' }).refresh(AbortSignal.abort()), 0)
  t.equal(await createZones({ pool, release: '2026z' }).refresh(idle), 1_001)
})

await test('A claim says which tz database has computed the next tick, and a boot refreshes the others', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, [yearly('claimed')], 1_000)
  await pool.query("UPDATE schedules SET tz_release = '2020a'")
  await createClaiming({ pool }).claim(10)
  const releaseOf = async (name: string): Promise<string> => (await scheduleOf(pool, name)).tz_release
  t.equal(await releaseOf('claimed'), tzRelease)
  await computedBy(pool, '2020a', [yearly('other')], 5 * hour)
  const reconciling = createReconciling({ pool, log: silentLog, definitions: () => [toDefinition(yearly('mine'))] })
  t.teardown(() => reconciling.stop())
  await reconciling.start()
  await until('the others are refreshed', async () => await releaseOf('other') === tzRelease)
  t.equal(await releaseOf('mine'), tzRelease)
})
