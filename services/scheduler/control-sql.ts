/* What administrators and users do to schedules. Claiming locks the same rows of schedules, and passes over those that are locked: it comes to them a tick of the cluster later. */

/**
 * A process that stops in the middle holds nobody up: after 10 s its session ends, and with it its lock.
 * Input: $1 name, $2 owner. Output: the schedule, locked: nobody else decides over its runs until COMMIT; now.
 */
export const lock = `
SELECT id::text, overlap, cron, every_ms AS every, timezone, next_at AS "nextAt", paused_at IS NOT NULL AS "isPaused", clock_timestamp() AS now,
  set_config('idle_in_transaction_session_timeout', '10000', true)
FROM schedules WHERE name = $1 AND owner = $2 FOR NO KEY UPDATE`

/**
 * Input: $1 schedule that is locked, $2 payload, $3 request id, $4 state. Output: id, and state. Nothing: the request id was taken by another schedule or
 * job meanwhile.
 */
export const trigger = `
INSERT INTO scheduler_runs (schedule_id, name, owner, kind, tick, state, payload, due_at, request_id, finished_at)
SELECT id, name, owner, 'manual', now(), $4::text, coalesce($2::jsonb, payload), now(), $3, CASE $4::text WHEN 'skipped' THEN now() END
FROM schedules WHERE id = $1::bigint
ON CONFLICT (request_id) WHERE request_id IS NOT NULL DO NOTHING
RETURNING id::text, state`

/** Input: $1 name, $2 owner, $3 reason, $4 by. Output: the pause; the first one stays. */
export const pause = `
UPDATE schedules SET
  paused_at = coalesce(paused_at, now()),
  pause_reason = CASE WHEN paused_at IS NULL THEN $3 ELSE pause_reason END,
  paused_by = CASE WHEN paused_at IS NULL THEN $4 ELSE paused_by END,
  updated_at = CASE WHEN paused_at IS NULL THEN now() ELSE updated_at END
WHERE name = $1 AND owner = $2
RETURNING paused_at AS at, pause_reason AS reason, paused_by AS by`

/** Input: $1 schedule that is locked, $2 its next tick, $3 the release of the tz database. */
export const resume = `
UPDATE schedules SET paused_at = NULL, pause_reason = NULL, paused_by = NULL, next_at = $2::timestamptz, tz_release = least(tz_release, $3), updated_at = now() WHERE id = $1::bigint`

/** Input: $1 name, $2 owner, $3 the id that all are below, $4 how many. Output: runs, newest first. */
export const runs = `
SELECT id::text, kind, tick, state, payload, due_at AS "dueAt", request_id AS "requestId", starts, failures, started_at AS "startedAt", finished_at AS "finishedAt",
  error, progress, total, worker, cancel_requested AS "isCancelled"
FROM scheduler_runs AS run
WHERE name = $1 AND owner = $2 AND id < coalesce($3::bigint, 9223372036854775807)
ORDER BY run.id DESC LIMIT $4`

/** Input: $1 owner. Output: schedules, and the newest run of each. */
export const list = `
SELECT schedule.name, schedule.owner, cron, every_ms AS every, timezone, overlap, next_at AS "nextAt", paused_at AS "pausedAt", pause_reason AS "pauseReason",
  paused_by AS "pausedBy", last.id::text, last.kind, last.tick, last.state, last.started_at AS "startedAt", last.finished_at AS "finishedAt", last.error
FROM schedules AS schedule LEFT JOIN LATERAL (
  SELECT id, kind, tick, state, started_at, finished_at, error FROM scheduler_runs
  WHERE name = schedule.name AND owner = schedule.owner ORDER BY id DESC LIMIT 1
) AS last ON true
WHERE schedule.owner = $1 ORDER BY schedule.name`
