import { claimable, upsertFinished } from './postgres-sql.js'

/*
 * The statements over idempotency_records that take any number of records at once; no id twice. Rows are locked in the order of their ids, so that
 * batches of several processes cannot deadlock.
 */

/*
 * Input: $1 ids, $2 tokens, $3 fingerprints, $4 retentions, $5 ages, $6 statuses, $7 headers, $8 bodies, in hex, base64, JSON and ms: array literals,
 * NULL where a tombstone has none; $9 whether Redis has decided. Arrays, because `json_to_recordset` took Postgres 4.3 of 12 µs a row.
 */
const finished = `
INSERT INTO idempotency_records AS held (id, token, fingerprint, state, lease_until, expires_at, completed_at, status, headers, body, mirrored)
SELECT decode(id, 'hex'), token, decode(fingerprint, 'hex'), CASE WHEN status IS NULL THEN 'tombstone' ELSE 'completed' END,
  statement_timestamp(), statement_timestamp() + (retention - age) * interval '1 ms', statement_timestamp() - age * interval '1 ms',
  status, headers, decode(body, 'base64'), $9::boolean
FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::smallint[], $7::jsonb[], $8::text[])
  AS batch (id, token, fingerprint, retention, age, status, headers, body)
ORDER BY 1
${upsertFinished}`

/** Output: how many rows were written. To read an id of each takes the server a µs, and nearly always all are written. */
export const finish = `WITH written AS (${finished} RETURNING 1) SELECT count(*)::int AS written FROM written`

/** Output: the ids of the rows that were written. Again after `finish` it answers as that would have: a row of its own token is written again. */
export const finishTold = `${finished} RETURNING encode(held.id, 'hex') AS id`

/* Input of those that follow: $1, a JSON array of objects, ids and fingerprints in hex, durations in ms. Output: the ids of the rows that were written. */

export const hold = `
INSERT INTO idempotency_records AS held (id, token, fingerprint, state, lease_until, expires_at)
SELECT decode(id, 'hex'), token, decode(fingerprint, 'hex'), 'running',
  statement_timestamp() + lease * interval '1 ms', statement_timestamp() + retention * interval '1 ms'
FROM json_to_recordset($1::json) AS batch (id text, token text, fingerprint text, lease float8, retention float8)
ORDER BY 1
ON CONFLICT (id) DO UPDATE SET
  token = excluded.token, fingerprint = excluded.fingerprint, state = 'running', lease_until = excluded.lease_until, expires_at = excluded.expires_at,
  created_at = CASE WHEN held.token = excluded.token THEN held.created_at ELSE excluded.created_at END,
  completed_at = NULL, status = NULL, headers = NULL, body = NULL, mirrored = false
WHERE ${claimable}
RETURNING encode(held.id, 'hex') AS id`

export const extend = `
WITH mine AS (
  SELECT held.id, batch.lease, batch.retention
  FROM json_to_recordset($1::json) AS batch (id text, token text, lease float8, retention float8)
  JOIN idempotency_records AS held ON held.id = decode(batch.id, 'hex') AND held.token = batch.token
  WHERE held.state = 'running' AND held.expires_at > now()
  ORDER BY held.id FOR NO KEY UPDATE OF held
)
UPDATE idempotency_records AS held
SET lease_until = now() + mine.lease * interval '1 ms', expires_at = now() + mine.retention * interval '1 ms'
FROM mine WHERE held.id = mine.id
RETURNING encode(held.id, 'hex') AS id`
