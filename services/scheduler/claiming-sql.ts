/* The statements of one claim, in one transaction. Instants are in ms since the epoch: pg takes a µs to make a Date. */

/**
 * A process that stops in the middle holds nobody up: after 10 s its session ends, and with it its locks. And each statement goes by its index: of 100,000
 * schedules the planner would read all to change 1,000, and a ledger that was empty when it was last looked at too. Its COMMIT does not wait for the disk:
 * whatever hands a run on is committed later, and waits for all that was written before it; and a claim that a crash of Postgres undoes is made again.
 * Output: now, of the database: the start of the transaction.
 */
export const begin = `
SELECT set_config('idle_in_transaction_session_timeout', '10000', true), set_config('enable_seqscan', 'off', true), set_config('synchronous_commit', 'off', true),
  (extract(epoch FROM now()) * 1000)::float8 AS now`

/** Input: $1 how many at most. Output: the schedules whose next tick has come, those that wait for longest first; they are locked, and none that others have locked. */
export const lockDue = `
SELECT id::text, name, owner, cron, every_ms AS every, timezone, jitter_ms AS jitter, overlap, catch_up,
  catch_up_window_ms::float8 AS catch_up_window, catch_up_cap, (extract(epoch FROM next_at) * 1000)::float8 AS next_at
FROM schedules
WHERE next_at IS NOT NULL AND paused_at IS NULL AND next_at <= now() AND (not_before IS NULL OR not_before <= now())
ORDER BY schedules.next_at
LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED`

/** Of a row of scheduler_runs. */
const isActive = "state IN ('waiting', 'pending', 'enqueued', 'running')"

/** Input: $1 ids of schedules. What was not handed to a worker yet is cancelled at once, the others are asked to end. */
export const cancelActive = `
WITH others AS (
  SELECT id FROM scheduler_runs WHERE schedule_id = ANY($1::bigint[]) AND ${isActive} ORDER BY id FOR NO KEY UPDATE
)
UPDATE scheduler_runs AS run
SET cancel_requested = true,
  state = CASE WHEN state IN ('waiting', 'pending') THEN 'cancelled' ELSE state END,
  finished_at = CASE WHEN state IN ('waiting', 'pending') THEN now() ELSE finished_at END
FROM others WHERE run.id = others.id AND ${isActive}`

/** Input: $1 ids of schedules. Output: those that have a run which has not ended: id; waiting, whether one of these waits for another. */
export const readActive = `
SELECT schedule_id::text AS id, bool_or(state = 'waiting') AS waiting
FROM scheduler_runs WHERE schedule_id = ANY($1::bigint[]) AND ${isActive}
GROUP BY schedule_id`

const instant = (ms: string): string => `timestamptz 'epoch' + ${ms} * interval '1 ms'`

/**
 * Input: $1 ids of schedules, $2 their next ticks; and, one for each tick: $3 ids of their schedules, $4 ticks, $5 states, $6 when they are due; $7 the
 * release of the tz database.
 * A tick that is recorded already stays as it is, and no schedule goes backwards.
 * Output: name, state, and how many ticks of them were recorded.
 */
export const record = `
WITH advanced AS (
  UPDATE schedules AS schedule SET next_at = ${instant('batch.next_at')}, tz_release = $7, not_before = NULL
  FROM unnest($1::bigint[], $2::float8[]) AS batch (id, next_at)
  WHERE schedule.id = batch.id AND (batch.next_at IS NULL OR ${instant('batch.next_at')} > schedule.next_at)
), recorded AS (
  INSERT INTO scheduler_runs (schedule_id, name, owner, kind, tick, state, payload, due_at, finished_at)
  SELECT schedule.id, schedule.name, schedule.owner, 'tick', ${instant('batch.tick')}, batch.state, schedule.payload, ${instant('batch.due_at')},
    CASE WHEN batch.state NOT IN ('pending', 'waiting') THEN now() END
  FROM unnest($3::bigint[], $4::float8[], $5::text[], $6::float8[]) AS batch (id, tick, state, due_at)
  JOIN schedules AS schedule ON schedule.id = batch.id
  ON CONFLICT (schedule_id, tick) WHERE kind = 'tick' DO NOTHING
  RETURNING name, state
)
SELECT name, state, count(*)::int FROM recorded GROUP BY name, state`

/** Input: $1 ids of schedules that cannot be read. They are looked at again in a minute, and hold up no other until then. */
export const putOff = "UPDATE schedules SET not_before = now() + interval '1 min' WHERE id = ANY($1::bigint[])"
