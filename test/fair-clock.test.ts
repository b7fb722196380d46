import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { fairNow } from './fair-clock.js'

await t.test('time in which the process waits counts, time in which it cannot look does not', async (t) => {
  const start = fairNow()
  await delay(500) // the time is the subject
  const waited = fairNow() - start
  t.ok(waited > 50, `${waited} ms`)
  const end = performance.now() + 500
  while (performance.now() < end);
  t.ok(fairNow() - start - waited < 50, 'as when the machine runs something else')
})
