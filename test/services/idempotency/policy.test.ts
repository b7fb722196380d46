import t from 'tap'
import { isStored, neverStored, storedHeaders } from '../../../services/idempotency/policy.js'

const statuses = [200, 201, 202, 204, 206, 301, 303, 304, 307, 400, 401, 402, 403, 404, 405, 408, 409, 410, 412, 413, 415, 418, 422, 423, 425, 428, 429, 451, 500, 501, 502, 503, 504, 599]

await t.test('deterministic keeps 2xx, 3xx and those 4xx that the same request would get again', async (t) => {
  const released = [401, 403, 408, 409, 412, 423, 425, 429, 500, 501, 502, 503, 504, 599]
  t.same(statuses.filter((status) => !isStored('deterministic', status)), released)
})

await t.test('success keeps 2xx', async (t) => {
  t.same(statuses.filter((status) => isStored('success', status)), [200, 201, 202, 204, 206])
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
  for (const name of ['set-cookie', 'authorization', 'www-authenticate', 'date', 'connection', 'transfer-encoding', 'content-length', 'idempotent-replayed']) {
    t.ok(neverStored.has(name), name)
  }
})
