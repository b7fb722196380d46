import assert from 'node:assert/strict'
import { recordId } from '../dist/plugins/idempotency/identity.js'
import { randomToken } from '../dist/services/idempotency/attempt.js'
import { fingerprintOf } from '../dist/services/idempotency/fingerprint.js'
import { encodeFinished } from '../dist/services/idempotency/stores/redis-value.js'
import { filledBody, filledKey } from './filled.mjs'
import { body } from './measure.mjs'

/*
 * Finished records of requests that were never sent: what the server would have written for them, so that it replays them. One that differed would not
 * be replayed, and the load generator would say so.
 */
const route = { url: '/orders' }
const scope = { kind: 'principal', subject: 'merchant-1' }
const token = randomToken()
const { fingerprint } = fingerprintOf({ method: 'POST', route: route.url, query: {}, contentType: 'application/json', body: JSON.parse(body) })
const idOf = (key) => recordId(scope, '{}', 'POST', route, key)
const headersOf = (number) => ({ 'content-type': 'application/json; charset=utf-8', location: `/orders/${number}` })

/** Records of one pipeline. */
const chunk = 10_000

export async function fillRedis (redis, prefix, count, retention) {
  for (let from = 0; from < count; from += chunk) {
    const pipeline = redis.pipeline()
    for (let number = from; number < Math.min(from + chunk, count); number++) {
      const value = encodeFinished({ token, fingerprint }, { status: 201, headers: headersOf(number), body: filledBody(number) })
      pipeline.set(`${prefix}:${idOf(filledKey(number))}`, value, 'PX', retention)
    }
    for (const [error] of await pipeline.exec()) assert.equal(error, null)
  }
}

/** The id is the digest of services/idempotency/digest.ts, over these parts. */
const scopeText = ['holdfast:record:2', ...[scope.kind, scope.subject, '{}', 'POST', route.url].map((part) => `${part.length}:${part}`)].join('\n')

/** Input: $1 number of records, $2 all of the id's text but the key, $3 token, $4 fingerprint, $5 retention; keys, headers and bodies with # for the number. */
const fill = `
INSERT INTO idempotency_records (id, token, fingerprint, state, lease_until, expires_at, completed_at, status, headers, body, mirrored)
SELECT sha256(convert_to($2 || E'\\n' || length(key) || ':' || key, 'UTF8')), $3, decode($4, 'hex'), 'completed', now(),
  now() + $5 * interval '1 ms', now(), 201, replace($7, '#', number)::jsonb, convert_to(replace($8, '#', number), 'UTF8'), false
FROM (SELECT number::text, replace($6, '#', number::text) AS key FROM generate_series(0, $1::int - 1) AS number) AS records`

export async function fillPostgres (pool, count, retention) {
  await pool.query(fill, [count, scopeText, token, fingerprint, retention, filledKey('#'), JSON.stringify(headersOf('#')), filledBody('#').replace('"#"', '#')])
  const { rowCount } = await pool.query('SELECT FROM idempotency_records WHERE id = $1', [Buffer.from(idOf(filledKey(0)), 'hex')])
  assert.equal(rowCount, 1, 'the ids of the filled rows are not those of the plugin')
  await pool.query('VACUUM ANALYZE idempotency_records')
}
