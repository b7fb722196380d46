import { randomUUID } from 'node:crypto'
import t from 'tap'
import { isRolledOut } from '../../../services/idempotency/rollout.js'

const subjects = Array.from({ length: 20_000 }, (_, number) => `user-${number}`)
const share = (percent: number): number => subjects.filter((subject) => isRolledOut(subject, percent)).length / subjects.length * 100

await t.test('0 is nobody and 100 is everybody', async (t) => {
  t.equal(share(0), 0)
  t.equal(share(100), 100)
  for (const subject of ['', '\0', 'ü', randomUUID(), 'x'.repeat(10_000)]) {
    t.notOk(isRolledOut(subject, 0))
    t.ok(isRolledOut(subject, 100))
  }
})

await t.test('a percentage is met to within the chance of 20,000 subjects', async (t) => {
  // Four standard deviations: sqrt(p (100 - p) / n).
  for (const percent of [0.5, 1, 10, 25, 50, 75, 90, 99]) {
    const got = share(percent)
    t.ok(Math.abs(got - percent) <= 4 * Math.sqrt(percent * (100 - percent) / subjects.length), `${percent} % gave ${got} %`)
  }
})

await t.test('raising the percentage only ever adds subjects', async (t) => {
  const steps = Array.from({ length: 401 }, (_, step) => step / 4)
  const lost = subjects.slice(0, 500).filter((subject) => {
    const decisions = steps.map((percent) => isRolledOut(subject, percent))
    return decisions.slice(decisions.indexOf(true)).includes(false)
  })
  t.strictSame(lost, [])
})

await t.test('a step of 0.01 % adds one part in 10,000', async (t) => {
  // 0.07 * 100 and 0.29 * 100 are no integers in binary.
  for (const percent of [0.01, 0.07, 0.29, 57.14, 99.99]) {
    const enters = subjects.filter((subject) => isRolledOut(subject, percent) && !isRolledOut(subject, percent - 0.01))
    t.ok(enters.length > 0 && enters.length < 12, `${percent} % added ${enters.length} of 20,000`)
    t.ok(enters.every((subject) => !isRolledOut(subject, percent - 0.005 - 1e-9) && isRolledOut(subject, percent + 1e-9)))
  }
})

await t.test('a subject has its place for ever: another one would throw everybody\'s decision over', async (t) => {
  t.strictSame(['', 'user-1', 'user-2', '018f6b3a-0000-7000-8000-000000000001'].map((subject) => {
    for (let part = 0; part <= 10_000; part++) if (isRolledOut(subject, part / 100)) return part
    return null
  }), [2_642, 3_073, 252, 4_005]) // printf 'holdfast:rollout:1\n6:user-1' | sha256sum, the first 8 digits modulo 10,000, plus 1
})
