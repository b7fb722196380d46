/** Input: $1 owner, $2 name; null: all. Output: the ids of what is gone. A claim that has one of them is waited for. */
export const remove = `
DELETE FROM schedules WHERE owner = $1 AND ($2::text IS NULL OR name = $2) RETURNING id::text`

/** Input: $1 ids of schedules that are gone. In a statement of its own, which sees what a claim has recorded last. What no worker has yet is cancelled. */
export const cancelRest = `
UPDATE scheduler_runs SET state = 'cancelled', finished_at = now(), error = 'its schedule was removed'
WHERE schedule_id = ANY($1::bigint[]) AND state IN ('waiting', 'pending')`

/** Input: $1 owner. Output: its schedules. */
export const list = `
SELECT name, cron, every_ms AS every, timezone, jitter_ms AS jitter, overlap,
  json_build_object('policy', catch_up, 'window', catch_up_window_ms, 'cap', catch_up_cap) AS "catchUp",
  payload, next_at AS "nextAt", paused_at AS "pausedAt", pause_reason AS "pauseReason"
FROM schedules WHERE owner = $1 ORDER BY name`
