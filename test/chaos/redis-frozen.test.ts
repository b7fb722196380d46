import t from 'tap'
import type { Test } from 'tap'
import { handedOver } from './handed-over.js'
import { setUp } from './setup.js'
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
  t.teardown(() => { thaw(setup) })
  await handedOver(t, setup, lease, () => { freeze(setup) }, () => { thaw(setup) })
}

for (const [what, fault] of Object.entries(freezes)) {
  await t.test(`a request in flight is not run again while ${what}, and is replayed when it is done`, (t) => held(t, fault))
}
