/*
 * The statements over advisory locks, over held_locks and lock_tokens (prisma/schema.prisma). Keys are bigints as text. A session lock has one key
 * of 64 bits; the pair of its halves is another lock, which those who wait for it share, so that they can be seen and counted.
 */

/**
 * Input: $1 name of the owner, which only this session has; $2 keys, ascending; $3 their names. Output: granted, NULL where the session is not the
 * owner's any more; token. All or nothing, in one statement: what was had while another key was not is given back.
 */
export const take = `
WITH tried AS MATERIALIZED (
  SELECT key, name, pg_try_advisory_lock(key) AS got FROM unnest($2::bigint[], $3::text[]) AS wanted (key, name)
  WHERE current_setting('holdfast.owner', true) = $1
), verdict AS MATERIALIZED (
  SELECT bool_and(got) AS granted FROM tried
), given_back AS MATERIALIZED (
  SELECT pg_advisory_unlock(key) AS done FROM tried, verdict WHERE got AND NOT granted
), registered AS (
  INSERT INTO held_locks (key, name, pid, since)
  SELECT key, name, pg_backend_pid(), clock_timestamp() FROM tried, verdict WHERE granted
  ON CONFLICT (key) DO UPDATE SET name = excluded.name, pid = excluded.pid, since = excluded.since
)
SELECT granted, (SELECT count(*) FROM given_back)::int AS given_back, CASE WHEN granted THEN nextval('lock_tokens')::text END AS token FROM verdict`

/**
 * Input: $1 owner, $2 keys. Output: whether all were this session's. Who waits elsewhere is told: only then the lock of the pair cannot be had.
 */
export const giveBack = `
WITH ended AS (
  DELETE FROM held_locks WHERE key = ANY ($2::bigint[]) AND pid = pg_backend_pid()
), given_back AS MATERIALIZED (
  SELECT key, (key >> 32)::int AS high, (key << 32 >> 32)::int AS low, pg_advisory_unlock(key) AS done FROM unnest($2::bigint[]) AS held (key)
  WHERE current_setting('holdfast.owner', true) = $1
), awaited AS MATERIALIZED (
  SELECT key, NOT CASE WHEN pg_try_advisory_lock(high, low) THEN pg_advisory_unlock(high, low) ELSE false END AS yes FROM given_back WHERE done
), told AS MATERIALIZED (
  SELECT pg_notify('holdfast_locks', 'free ' || key) FROM awaited WHERE yes
)
SELECT coalesce(bool_and(done), false) AS done, (SELECT count(*) FROM told)::int AS told FROM given_back`

/** After a statement that failed half-way. Input: $1 keys. */
export const undo = 'SELECT pg_advisory_unlock(key) FROM unnest($1::bigint[]) AS wanted (key)'

/** Input: $1 high, $2 low. */
export const startWaiting = 'SELECT pg_advisory_lock_shared($1::int, $2::int)'
export const stopWaiting = 'SELECT pg_advisory_unlock_shared($1::int, $2::int)'

/** Input: $1 owner. Output: whether the session is still the owner's. */
export const beat = "SELECT current_setting('holdfast.owner', true) IS NOT DISTINCT FROM $1::text AS mine"

/** Input: $1 owner. Output: the pid of the server process. */
export const sign = "SELECT pg_backend_pid() AS pid, set_config('holdfast.owner', $1, false)"

/** Input: $1 names, $2 values. Settings that this server does not know are left out. */
export const configure = `
SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS wanted (name, value) JOIN pg_settings USING (name)`

/** Rows of sessions that ended without a word. */
export const forget = `
DELETE FROM held_locks AS held WHERE NOT EXISTS (
  SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid = held.pid AND classid::bigint << 32 | objid::bigint = held.key
)`
