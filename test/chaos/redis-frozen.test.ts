import t from 'tap'
import type { Test } from 'tap'
import { after, duplicates, statuses } from './duplicates.js'
import { inPostgres, setUp } from './setup.js'
import type { Setup } from './setup.js'

const lease = 2_000

/** Where Redis stops answering while a handler runs: what freezes it, and what ends that. */
const freezes: Record<string, { freeze: (setup: Setup) => void, thaw: (setup: Setup) => void }> = {
  'Redis itself hangs': {
    freeze: ({ redis }) => { redis.signal('SIGSTOP') },
    thaw: ({ redis }) => { redis.signal('SIGCONT') }
  },
  'the network swallows what both processes send': {
    freeze: ({ proxies }) => { for (const proxy of proxies.redis) proxy.blackHole('up') },
    thaw: ({ proxies }) => { for (const proxy of proxies.redis) proxy.heal() }
  },
  'the network swallows what Redis answers to both processes': {
    freeze: ({ proxies }) => { for (const proxy of proxies.redis) proxy.blackHole('down') },
    thaw: ({ proxies }) => { for (const proxy of proxies.redis) proxy.heal() }
  },
  'the connections of both processes are half-open': {
    freeze: ({ proxies }) => {
      for (const proxy of proxies.redis) {
        proxy.halfOpen()
        proxy.refuse()
      }
    },
    thaw: ({ proxies }) => { for (const proxy of proxies.redis) proxy.heal() }
  }
}

async function held (t: Test, { freeze, thaw }: { freeze: (setup: Setup) => void, thaw: (setup: Setup) => void }): Promise<void> {
  const setup = await setUp(t, { options: { lease }, proxied: true })
  const { one, two, effects } = setup
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  freeze(setup)
  t.teardown(() => { thaw(setup) })
  await inPostgres(setup, 'running')
  t.strictSame(statuses(await duplicates(two, 'k', after(2 * lease))), [409])
  one.open('k')
  const { status, text } = await first
  t.equal(status, 201)
  for (const instance of [two, one]) t.match(await instance.post('k'), { status: 201, text, replayed: true })
  thaw(setup)
  const answers = await duplicates(two, 'k', after(lease))
  t.ok(answers.every((answer) => answer.text === text), 'and after the thaw')
  t.equal(await effects.count('k'), 1)
}

for (const [what, fault] of Object.entries(freezes)) {
  await t.test(`a request in flight is not run again while ${what}, and is replayed when it is done`, (t) => held(t, fault))
}
