import t from 'tap'
import { isReplayable, isStored, storedHeaders } from '../../../services/idempotency/policy.js'

const statuses = Array.from({ length: 400 }, (_, index) => 200 + index)

await t.test('deterministic keeps 2xx, 3xx and those 4xx that the same request would get again', async (t) => {
  const passing = [401, 403, 408, 409, 412, 423, 425, 429]
  t.same(statuses.filter((status) => !isStored('deterministic', status)), [...passing, ...statuses.slice(300)])
})

await t.test('success keeps 2xx', async (t) => {
  t.same(statuses.filter((status) => isStored('success', status)), statuses.slice(0, 100))
})

await t.test('all keeps everything', async (t) => {
  t.same(statuses.filter((status) => isStored('all', status)), statuses)
})

await t.test('a function decides by the status code', async (t) => {
  t.same(statuses.filter((status) => isStored((code) => code === 503, status)), [503])
})

await t.test('the allow-list and the added headers are kept, arrays as arrays and numbers as text', async (t) => {
  const headers: Record<string, unknown> = { 'content-type': 'text/plain', link: ['<a>', '<b>'], 'x-count': 3, 'x-empty': '', 'x-other': 'no', etag: undefined, 'set-cookie': 'a=b', date: 'now', 'content-length': 3 }
  t.strictSame(storedHeaders({ getHeader: (name) => headers[name] }, ['x-count', 'x-empty', 'x-absent']), { 'content-type': 'text/plain', link: ['<a>', '<b>'], 'x-count': '3', 'x-empty': '' })
})

await t.test('credentials, framing and what belongs to one moment are on the list of what is never kept', async (t) => {
  const refused = ['set-cookie', 'authorization', 'www-authenticate', 'proxy-authenticate', 'date', 'connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'transfer-encoding',
    'content-length', 'idempotent-replayed', 'idempotency-status', 'x-csrf-token', 'token', 'x-client-secret-id']
  for (const name of refused) t.notOk(isReplayable(name), name)
  for (const name of ['x-request-id', 'retry-after', 'cache-control', 'vary']) t.ok(isReplayable(name), name)
})
