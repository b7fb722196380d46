/** Input: $1 name, $2 owner. Output: a row, when there was one. What it had recorded and no worker has yet is cancelled. */
export const remove = `
WITH gone AS (
  DELETE FROM schedules WHERE name = $1 AND owner = $2 RETURNING id
), cancelled AS (
  UPDATE scheduler_runs SET state = 'cancelled', finished_at = now() FROM gone WHERE schedule_id = gone.id AND state IN ('waiting', 'pending')
)
SELECT id FROM gone`

/** Input: $1 owner. Output: its schedules. */
export const list = `
SELECT name, cron, every_ms AS every, timezone, jitter_ms AS jitter, overlap,
  json_build_object('policy', catch_up, 'window', catch_up_window_ms, 'cap', catch_up_cap) AS "catchUp",
  payload, next_at AS "nextAt", paused_at AS "pausedAt", pause_reason AS "pauseReason"
FROM schedules WHERE owner = $1 ORDER BY name`
