/* Locks that end with the caller's transaction: $1 key; $2 the name. */

/** Of what Postgres says of the session there is room for 63 bytes, and only while the transaction lasts: it names the lock for others. */
const name = "set_config('application_name', left(split_part(current_setting('application_name'), ' lock:', 1), 20) || ' lock:' || $2::text, true)"

/** Output: got; token; stale, when the transaction sees an older state than the lock's last holder left. */
const statement = (token: string): string => `
WITH asked AS MATERIALIZED (
  SELECT current_setting('transaction_isolation') = 'repeatable read' AS stale
), tried AS MATERIALIZED (
  SELECT stale, CASE WHEN stale THEN false ELSE pg_try_advisory_xact_lock($1::bigint) END AS got FROM asked
)
SELECT stale, got, CASE WHEN got THEN ${token} END AS token, CASE WHEN got THEN ${name} END AS named FROM tried`

export const tryLock = statement('NULL::text')
export const tryFenced = statement("nextval('lock_tokens')::text")

/**
 * A statement with parameters keeps its snapshot until the next one, and CREATE INDEX CONCURRENTLY would wait for who waits: this one has none, and is a
 * simple query.
 */
export const letGo = 'SELECT 1'
