/**
 * The application that the fault tests run as processes: the plugin over Redis and Postgres, and routes whose handler leaves a row in `effects`.
 * Environment: REDIS_URL, POSTGRES_URL (of the stores), EFFECTS_URL (reached without a proxy), POSTGRES_TIMEOUT (ms), and in JSON OPTIONS
 * (plugin options) and ROUTES (route options by path). The parent gets { listening: port }, { started: key } and { aborted: key }, and sends
 * { open: key }.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { FastifyRequest } from 'fastify'
import { Redis } from 'ioredis'
import pg from 'pg'
import idempotency from '../../plugins/idempotency/index.js'
import type { IdempotencyOptions, IdempotencyRouteOptions } from '../../plugins/idempotency/index.js'
import { createPool } from '../../services/database/pool.js'

interface Result { status: number, headers: Record<string, string>, body: unknown }

/** What design §4.6 and §11 promise besides what every version has. */
interface Idempotency {
  key: string
  attempt: string
  signal?: AbortSignal
  transaction?: (run: (tx: pg.PoolClient) => Promise<Result>) => Promise<unknown>
}

const { REDIS_URL = '', POSTGRES_URL = '', EFFECTS_URL = '', POSTGRES_TIMEOUT = '5000', OPTIONS = '{}', ROUTES = '{}' } = process.env
const tell = (event: object): void => { process.send?.(event) }

/** A handler told to hold waits here until the test opens its key. */
const gates = new Map<string, { opened: Promise<void>, open: () => void }>()

function gateOf (key: string): { opened: Promise<void>, open: () => void } {
  let gate = gates.get(key)
  if (gate === undefined) {
    let open = (): void => {}
    gate = { opened: new Promise<void>((resolve) => { open = resolve }), open: () => open() }
    gates.set(key, gate)
  }
  return gate
}

process.on('message', ({ open }: { open: string }) => { gateOf(open).open() })
process.on('disconnect', () => process.exit()) // the test is gone

// Evidence, not a novel: a fault makes hundreds of these.
const app = Fastify({ logger: { level: 'warn', base: null, serializers: { err: ({ name: type, message }) => ({ type, message, stack: '' }) } } })
const redis = new Redis(REDIS_URL, { lazyConnect: true })
redis.on('error', () => {}) // the plugin's own connection says so in the log
const postgres = createPool({ url: POSTGRES_URL, size: 10, connectTimeout: Number(POSTGRES_TIMEOUT), queryTimeout: Number(POSTGRES_TIMEOUT), log: app.log })
const effects = new pg.Pool({ connectionString: EFFECTS_URL, max: 5 })
effects.on('error', (err) => app.log.warn({ err }, 'the connection for effects broke'))

const record = async (client: Pick<pg.PoolClient, 'query'>, key: string, attempt: string): Promise<void> => {
  await client.query('INSERT INTO effects (key, attempt, process) VALUES ($1, $2, $3)', [key, attempt, process.pid])
}

/** Waits as the headers say: `x-hold` until the test opens the key, `x-work` so many ms, as work does whose end no test is to know. */
async function work ({ headers }: FastifyRequest, key: string): Promise<void> {
  tell({ started: key })
  if (headers['x-hold'] !== undefined) await gateOf(key).opened
  if (headers['x-work'] !== undefined) await sleep(Number(headers['x-work'])) // the work that the client asks for
}

const answer = (): Result => ({ status: 201, headers: {}, body: { id: randomUUID(), process: process.pid } })

await app.register(idempotency, { store: { redis, postgres }, scope: 'public', ...JSON.parse(OPTIONS) as Partial<IdempotencyOptions> })

for (const [path, options] of Object.entries(JSON.parse(ROUTES) as Record<string, IdempotencyRouteOptions & { guarantee?: string }>)) {
  const transactional = options.guarantee === 'transactional'
  app.post(path, { config: { idempotency: options } }, async (request, reply) => {
    const own: Idempotency | null = request.idempotency
    const key = own?.key ?? String(request.headers['idempotency-key'])
    own?.signal?.addEventListener('abort', () => { tell({ aborted: key }) })
    if (!transactional) {
      await record(effects, key, own?.attempt ?? 'bypassed')
      await work(request, key)
      const { status, body } = answer()
      return await reply.code(status).send(body)
    }
    if (own?.transaction === undefined) throw new Error('this request has no transaction')
    return await own.transaction(async (tx) => {
      await record(tx, key, own.attempt)
      await work(request, key)
      return answer()
    })
  })
}

await app.listen({ port: 0, host: '127.0.0.1' })
const address = app.server.address()
tell({ listening: typeof address === 'object' ? address?.port : null })
