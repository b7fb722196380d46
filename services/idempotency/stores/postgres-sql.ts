/*
 * The statements over idempotency_records (prisma/schema.prisma). Durations are ms, times are the database's. Input order is that of the
 * parameters: $1 id, $2 token, then what the statement names.
 */

/** May a new claim replace the row `held`? */
export const claimable = `held.expires_at <= statement_timestamp() OR held.state = 'running'
    AND (held.token = excluded.token OR held.lease_until <= statement_timestamp() AND held.fingerprint = excluded.fingerprint)`

/** A finished record, written whether or not its claim is here; of the statement's own time, because a transaction may have begun long before. */
export const upsertFinished = `
ON CONFLICT (id) DO UPDATE SET
  token = excluded.token, fingerprint = excluded.fingerprint, state = excluded.state, lease_until = excluded.lease_until,
  expires_at = excluded.expires_at, created_at = CASE WHEN held.token = excluded.token THEN held.created_at ELSE excluded.created_at END,
  completed_at = excluded.completed_at, status = excluded.status, headers = excluded.headers, body = excluded.body, mirrored = excluded.mirrored
WHERE held.token = excluded.token OR ${claimable}`

/** The columns of a record that every reading statement returns. */
const columns = `state, encode(fingerprint, 'hex') AS fingerprint, token,
  extract(epoch FROM lease_until - now())::float8 * 1000 AS lease_left,
  extract(epoch FROM expires_at - now())::float8 * 1000 AS record_left, status, headers, body`

/**
 * Input: $3 fingerprint, $4 lease, $5 retention. Output: one row with state 'claimed', and whether another attempt was taken over, or the record that holds the key; no row when a
 * concurrent claim committed after this statement's snapshot was taken: then ask again.
 */
export const claim = `
WITH other AS (
  SELECT FROM idempotency_records WHERE id = $1 AND token <> $2 AND state = 'running' AND expires_at > now()
), mine AS (
  INSERT INTO idempotency_records AS held (id, token, fingerprint, state, lease_until, expires_at)
  VALUES ($1, $2, $3, 'running', now() + $4 * interval '1 ms', now() + $5 * interval '1 ms')
  ON CONFLICT (id) DO UPDATE SET
    token = excluded.token, fingerprint = excluded.fingerprint, state = 'running', lease_until = excluded.lease_until,
    expires_at = excluded.expires_at, created_at = now(), completed_at = NULL, status = NULL, headers = NULL, body = NULL, mirrored = false
  WHERE ${claimable}
  RETURNING held.id
)
SELECT 'claimed' AS state, NULL AS fingerprint, NULL AS token, NULL AS lease_left, NULL AS record_left, NULL AS status, NULL AS headers, NULL AS body, EXISTS (SELECT FROM other) AS recovered FROM mine
UNION ALL
SELECT ${columns}, false FROM idempotency_records WHERE id = $1 AND expires_at > now() AND NOT EXISTS (SELECT FROM mine)`

/** Input: $3 state, $4 retention, $5 status, $6 headers, $7 body. Output: a row when the claim is this attempt's. */
export const complete = `
UPDATE idempotency_records SET state = $3, expires_at = now() + $4 * interval '1 ms', completed_at = now(), status = $5, headers = $6::jsonb, body = $7
WHERE id = $1 AND token = $2 AND expires_at > now()
RETURNING 1 AS done`

/** Output: a row when the claim was this attempt's. */
export const release = `
DELETE FROM idempotency_records WHERE id = $1 AND token = $2 AND state = 'running' AND expires_at > now()
RETURNING 1 AS done`

export const get = `SELECT ${columns} FROM idempotency_records WHERE id = $1 AND expires_at > now()`

/**
 * Input: $3 fingerprint, $4 state, $5 retention, $6 age, $7 status, $8 headers, $9 body. Output: a row when the record is written. It counts as
 * mirrored: a retry that does not know of it meets it at the end of its own transaction, so no claim has to ask for it.
 */
export const finishIn = `
INSERT INTO idempotency_records AS held (id, token, fingerprint, state, lease_until, expires_at, completed_at, status, headers, body, mirrored)
VALUES ($1, $2, $3, $4, statement_timestamp(), statement_timestamp() + ($5::float8 - $6::float8) * interval '1 ms',
  statement_timestamp() - $6::float8 * interval '1 ms', $7, $8::jsonb, $9, true)
${upsertFinished}
RETURNING 1 AS done`

/** Output: ms until the last record expires, null when there is none. */
export const lifetime = {
  /** A look-up in the partial index: mirrored records may be a million. */
  decided: 'SELECT extract(epoch FROM max(expires_at) - now())::float8 * 1000 AS ms FROM idempotency_records WHERE NOT mirrored',
  all: 'SELECT extract(epoch FROM max(expires_at) - now())::float8 * 1000 AS ms FROM idempotency_records'
}

/**
 * Input: $1 how many at most. Output: deleted. No statement here sees a record that has expired, but for a claim, which replaces it and has it locked
 * meanwhile: then it is passed over. By ctid, which stays while we have the lock: a join by id may be planned as a scan of the whole table.
 */
export const deleteExpired = `
WITH deleted AS (
  DELETE FROM idempotency_records WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_records
    WHERE expires_at <= now() AND NOT (state = 'running' AND lease_until > now())
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
  )) RETURNING 1
)
SELECT count(*)::int AS deleted FROM deleted`
