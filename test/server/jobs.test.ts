import t from 'tap'
import { buildServer } from '../../server.js'
import { loadConfig } from '../../services/config/index.js'
import { until } from '../helper.js'
import { ownPostgres } from '../own-servers.js'
import { build, jwtSecret, logIn, testEnvironment } from './helper.js'

const token = 'a-token-that-is-only-used-in-tests'
const url = '/api/v1/admin/jobs'
const job = 'idempotency.cleanup'
const routes = [['GET', ''], ['GET', `/${job}/runs`], ['POST', `/${job}/run`], ['POST', `/${job}/pause`, { reason: 'x' }], ['POST', `/${job}/resume`]] as const

async function admin (t: Parameters<typeof build>[0], changes = {}) {
  const app = await build(t, { ADMIN_TOKEN: token, ...changes })
  const ask = async (method: 'GET' | 'POST', path: string, payload?: object, headers: Record<string, string> = {}) => {
    const answer = await app.inject({ method, url: url + path, headers: { authorization: `Bearer ${token}`, ...headers }, ...(payload === undefined ? {} : { payload }) })
    return { status: answer.statusCode, body: answer.json() as Record<string, unknown> & { id: string, jobs: object[], runs: Array<{ id: string, state: string }> } }
  }
  return Object.assign(ask, { pg: app.pg })
}

await t.test('an administrator sees the jobs, runs one now, pauses and resumes it', async (t) => {
  const ask = await admin(t)
  t.match(await ask('GET', ''), { status: 200, body: { jobs: [{ name: job, every: 86_400_000, cron: null, pause: null, lastRun: null, nextAt: /Z$/ }] } })
  t.match(await ask('POST', `/${job}/run`), { status: 202, body: { state: 'pending' } })
  const runs = await until('the run is done', async () => {
    const { body: { runs } } = await ask('GET', `/${job}/runs`)
    return runs[0]?.state === 'done' && runs
  })
  t.match(runs, [{ kind: 'manual', starts: 1, failures: 0, error: null }])
  t.match(await ask('GET', `/${job}/runs?limit=1&before=${runs[0]?.id}`), { status: 200, body: { runs: [] } })
  t.match(await ask('POST', `/${job}/pause`, { reason: 'a migration' }), { status: 200, body: { reason: 'a migration', by: 'admin', at: /Z$/ } })
  t.match(await ask('GET', ''), { body: { jobs: [{ pause: { reason: 'a migration' }, lastRun: { state: 'done' } }] } })
  t.match(await ask('POST', `/${job}/resume`), { status: 200, body: { nextAt: /Z$/ } })
})

await t.test('the runs of a job come in pages, the newest first, also of one that is declared no more', async (t) => {
  const ask = await admin(t)
  for (const name of [job, 'removed']) await ask.pg.query("INSERT INTO scheduler_runs (name, kind, tick, state, due_at) SELECT $1, 'manual', now(), 'done', now() FROM generate_series(1, 25)", [name])
  for (const name of [job, 'removed']) {
    const { body: { runs: first } } = await ask('GET', `/${name}/runs`)
    const { body: { runs: second } } = await ask('GET', `/${name}/runs?limit=100&before=${first.at(-1)?.id}`)
    t.strictSame([first.length, second.length], [20, 5])
    const ids = [...first, ...second].map(({ id }) => Number(id))
    t.strictSame(ids, ids.toSorted((a, b) => b - a))
  }
})

await t.test('a job that is not there is 404, and bad input 400', async (t) => {
  const ask = await admin(t)
  for (const [path, payload] of [['run'], ['pause', { reason: 'x' }], ['resume']] as const) t.match(await ask('POST', `/nothing/${path}`, payload), { status: 404, body: { code: 'FST_API_JOB_UNKNOWN' } })
  t.match(await ask('GET', '/nothing/runs'), { status: 404, body: { code: 'FST_API_JOB_UNKNOWN' } })
  for (const [method, path] of [['GET', 'runs'], ['POST', 'run'], ['POST', 'resume']] as const) for (const name of ['%00', 'a%00', 'a%20b']) t.equal((await ask(method, `/${name}/${path}`)).status, 400, `${name}/${path}`)
  for (const query of ['?limit=0', '?limit=101', '?limit=1e1', '?before=x', '?page=1']) t.equal((await ask('GET', `/${job}/runs${query}`)).status, 400, query)
  for (const payload of [{}, { reason: '' }, { reason: ' ' }, { reason: 'x', by: 'me' }, { reason: 'x\0' }]) t.equal((await ask('POST', `/${job}/pause`, payload)).status, 400, JSON.stringify(payload))
})

await t.test('a run that is asked for twice with one key is one run', async (t) => {
  const ask = await admin(t)
  const runWith = (key: string) => ask('POST', `/${job}/run`, undefined, { 'idempotency-key': key })
  const first = await runWith('k-1')
  t.equal(first.status, 202)
  for (const key of ['k-1', '"k-1"']) t.match(await runWith(key), { status: 202, body: { id: first.body.id } }, key)
  t.equal((await ask('GET', `/${job}/runs`)).body.runs.length, 1)
  for (const key of ['k '.repeat(3), '', '"k-1', '""', 'k'.repeat(256), 'ü']) t.match(await runWith(key), { status: 400, body: { code: 'FST_IDEMPOTENCY_KEY_INVALID' } }, key)
  await ask.pg.query("UPDATE scheduler_runs SET name = 'other'")
  t.match(await runWith('k-1'), { status: 422, body: { code: 'FST_SCHEDULER_REQUEST_ID_REUSED', type: /scheduler-request-id-reused$/ } })
})

await t.test('with Postgres away every route says that it is', async (t) => {
  const { url: databaseUrl, kill } = await ownPostgres(t)
  const ask = await admin(t, { DATABASE_URL: databaseUrl })
  t.equal((await ask('GET', '')).status, 200)
  await kill()
  for (const [method, path, payload] of routes) t.match(await ask(method, path, payload), { status: 503, body: { code: 'FST_API_DATABASE_UNAVAILABLE' } }, `${method} ${path}`)
})

await t.test('the OpenAPI document has the routes, and that they want the token', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token })
  const { paths } = (await app.inject('/documentation/json')).json<{ paths: Record<string, Record<string, { security?: object[], responses: object }>> }>()
  for (const [method, path] of routes) {
    const documented = paths[url + path.replace(job, '{name}')]?.[method.toLowerCase()]
    t.match(documented, { security: [{ admin: [] }], responses: { 401: {}, 503: {} } }, `${method} ${path}`)
  }
})

await t.test('without the token nothing is told or done, and nobody\'s own token will do', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token })
  for (const authorization of [undefined, await logIn(app), 'Bearer ', `Basic ${token}`, `Bearer ${token}x`]) {
    for (const [method, path, payload] of routes) {
      const answer = await app.inject({ method, url: url + path, headers: authorization === undefined ? {} : { authorization }, ...(payload === undefined ? {} : { payload }) })
      t.match({ status: answer.statusCode, body: answer.json<object>() }, { status: 401, body: { code: 'FST_API_ADMIN_TOKEN_INVALID' } }, `${method} ${path} with ${authorization}`)
    }
  }
  t.strictSame(await app.scheduler.runs(job), [])
  t.match(await app.scheduler.list(), [{ pause: null }])
  t.equal((await (await build(t)).inject({ url, headers: { authorization: `Bearer ${token}` } })).statusCode, 404, 'there are no such routes where there is no token')
})

await t.test('a clean-up that is late by days is made up for', async (t) => {
  const app = await build(t, { IDEMPOTENCY_CLEANUP_DELAY_MS: '0' })
  const states = async (): Promise<string[]> => (await app.scheduler.runs(job)).map(({ state }) => state)
  await until('the first one is done', async () => (await states())[0] === 'done')
  await app.pg.query("UPDATE schedules SET next_at = now() - interval '50 hours'")
  await until('the late ones are recorded', async () => (await states()).length > 1)
  await until('the last of them has run', async () => (await states())[0] === 'done')
})

await t.test('a wrong interval or delay of the clean-up fails the boot', async (t) => {
  const { databaseUrl = '', redisUrl = '', ...config } = loadConfig(await testEnvironment(t))
  const start = (changes: object) => buildServer({ ...config, databaseUrl, redisUrl, jwtSecret, ...changes })
  await t.rejects(start({ idempotencyCleanupIntervalMs: 999 }), { message: `schedule \`${job}\`: option \`every\` must be an integer from 1000 to 2147483647 (ms), got \`999\` (number)` })
  await t.rejects(start({ idempotencyCleanupDelayMs: -1 }), { message: `schedule \`${job}\`: option \`startDelay\` must be an integer from 0 to 2147483647 (ms), got \`-1\` (number)` })
})

await t.test('the clean-up deletes what is expired, after its delay and at its interval, and is counted', async (t) => {
  const app = await build(t, { IDEMPOTENCY_CLEANUP_DELAY_MS: '500', IDEMPOTENCY_CLEANUP_INTERVAL_MS: '1000' })
  await app.pg.query(`INSERT INTO idempotency_records (id, fingerprint, token, state, lease_until, expires_at)
    SELECT decode(md5(i::text), 'hex'), '', 't', 'completed', now(), now() + CASE WHEN i <= 3 THEN interval '-1 hour' ELSE interval '1 hour' END FROM generate_series(1, 5) AS i`)
  await until('the expired ones are gone', async () => (await app.pg.query('SELECT FROM idempotency_records')).rowCount === 2)
  await until('it is counted', async () => (await app.inject('/metrics')).body.includes(`scheduler_runs_total{schedule="${job}",result="done"}`))
  await until('it runs again', async () => (await app.scheduler.runs(job)).length > 1)
  const { rows: [row] } = await app.pg.query<{ delay: number, interval: number }>(`SELECT (extract(epoch FROM min(run.tick) - min(created_at)) * 1000)::int AS delay, (extract(epoch FROM max(run.tick) - min(run.tick)) * 1000)::int AS interval
    FROM scheduler_runs AS run JOIN schedules AS schedule ON schedule.id = run.schedule_id`)
  t.ok(row !== undefined && row.delay >= 500 && row.delay < 1_000, `${row?.delay} ms after it was declared`)
  t.equal((row?.interval ?? 0) % 1_000, 0)
})
