/* Who holds advisory locks, from pg_locks, where a key is in two halves without a sign. Our own are those whose names are known: see sql.ts and transaction-sql.ts. */

const ours = "locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
const key = '(classid::bigint << 32 | objid::bigint)'

/** Input: $1 key. Output: a row when it is held. */
export const isLocked = `
SELECT 1 AS held FROM pg_locks WHERE ${ours} AND objsubid = 1 AND granted AND mode = 'ExclusiveLock' AND ${key} = $1::bigint LIMIT 1`

/** Output: key, registered: the name of a session's lock, name, pid, application, since, waiters: sessions of processes that wait, which share the lock of the pair. */
export const list = `
WITH locks AS MATERIALIZED (
  SELECT ${key} AS key, pid, granted, mode, objsubid FROM pg_locks WHERE ${ours}
)
SELECT locks.key::text, held.name AS registered, coalesce(held.name, nullif(split_part(activity.application_name, ' lock:', 2), '')) AS name, locks.pid,
  split_part(activity.application_name, ' lock:', 1) AS application, coalesce(held.since, activity.xact_start) AS since, (
    SELECT count(DISTINCT others.pid)::int FROM locks AS others
    WHERE others.key = locks.key AND others.pid <> locks.pid AND others.objsubid = 2 AND others.mode = 'ShareLock'
  ) AS waiters
FROM locks JOIN pg_stat_activity AS activity USING (pid) LEFT JOIN held_locks AS held ON held.key = locks.key AND held.pid = locks.pid
WHERE locks.granted AND locks.objsubid = 1 AND locks.mode = 'ExclusiveLock' AND (held.key IS NOT NULL OR activity.application_name LIKE '% lock:%')
ORDER BY since`

/**
 * Input: $1 key, $2 name, $3 reason, $4 by, $5 whether to end the session at once. Output: pid, application, how. The audit row and the act are one
 * statement. Session locks are asked for, by a notification that their process answers; those of transactions end only with their session.
 */
export const takeAway = `
WITH holder AS MATERIALIZED (
  SELECT locks.pid, split_part(activity.application_name, ' lock:', 1) AS application, $5::boolean OR held.key IS NULL AS ends
  FROM pg_locks AS locks JOIN pg_stat_activity AS activity USING (pid) LEFT JOIN held_locks AS held ON held.key = $1::bigint AND held.pid = locks.pid
  WHERE ${ours} AND objsubid = 1 AND granted AND mode = 'ExclusiveLock' AND ${key} = $1::bigint
), audited AS (
  INSERT INTO lock_force_releases (name, pid, application, how, reason, released_by)
  SELECT $2, pid, application, CASE WHEN ends THEN 'terminated' ELSE 'asked' END, $3, $4 FROM holder
  RETURNING pid, application, how
), done AS MATERIALIZED (
  SELECT pid, application, how, CASE how
    WHEN 'terminated' THEN pg_terminate_backend(pid)::text
    ELSE pg_notify('holdfast_locks', 'revoke ' || pid || ' ' || $1)::text
  END AS answer FROM audited
)
SELECT pid, application, how FROM done WHERE answer IS NOT NULL`
