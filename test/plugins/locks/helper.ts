import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import locks from '../../../plugins/locks/index.js'
import type { LocksOptions } from '../../../plugins/locks/index.js'
import { testPrefix, testRedis } from '../../helper.js'

/** An application with locks in the Redis of this run, under a prefix of its own. */
export async function build (t: Test, options: Partial<LocksOptions> = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server)
  await app.register(locks, { redis: testRedis(t), prefix: testPrefix(), ...options })
  t.teardown(() => app.close())
  return app
}

/** A gate that handlers wait at, and how many are inside. */
export function gate () {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  const state = { inside: 0, most: 0, runs: 0 }
  return {
    state,
    open: () => { open() },
    async pass () {
      state.runs++
      state.most = Math.max(state.most, ++state.inside)
      await opened
      state.inside--
    }
  }
}
