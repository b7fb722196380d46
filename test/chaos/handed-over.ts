import type { Test } from 'tap'
import { after, duplicates, statuses } from './duplicates.js'
import { inPostgres } from './setup.js'
import type { Setup } from './setup.js'

/** A handler runs while Redis cannot be had: its request is handed over, not run again by the other instance, and replayed by both when it is done. */
export async function handedOver (t: Test, setup: Setup, lease: number, lose: () => unknown, regain: () => unknown): Promise<void> {
  const { one, two, effects } = setup
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  await lose()
  await inPostgres(setup, 'running')
  t.strictSame(statuses(await duplicates(two, 'k', after(2 * lease))), [409])
  one.open('k')
  const { status, text } = await first
  t.equal(status, 201)
  for (const instance of [two, one]) t.match(await instance.post('k'), { status: 201, text, replayed: true })
  await regain()
  const answers = await duplicates(two, 'k', after(lease))
  t.ok(answers.every((answer) => answer.text === text), 'and when Redis is back')
  t.equal(await effects.count('k'), 1)
}
