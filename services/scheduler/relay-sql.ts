/* From the ledger to BullMQ, and back when something was lost on the way. */

/** Input: $1 how many. Output: what is to be added to the queue. */
export const relay = `
WITH due AS MATERIALIZED (
  SELECT id FROM scheduler_runs WHERE state = 'pending' AND due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE scheduler_runs AS run SET state = 'enqueued', enqueues = enqueues + 1, enqueued_at = now()
FROM due WHERE run.id = due.id
RETURNING run.id::text, run.name, run.enqueues`

/** Input: $1 how old (ms), $2 how many. Output: what was enqueued and not started, to be added again. */
export const again = `
WITH lost AS MATERIALIZED (
  SELECT id FROM scheduler_runs WHERE state = 'enqueued' AND enqueued_at < now() - $1 * interval '1 millisecond' ORDER BY enqueued_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE scheduler_runs AS run SET enqueued_at = now()
FROM lost WHERE run.id = lost.id
RETURNING run.id::text, run.name, run.enqueues`

/** Input: $1 how many. The process that had it died, or could not say for a whole lease that it lives. Its start stays counted. */
export const takeBack = `
WITH expired AS MATERIALIZED (
  SELECT id FROM scheduler_runs WHERE state = 'running' AND lease_until < now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE scheduler_runs AS run SET state = 'pending', due_at = now(), lease_until = NULL
FROM expired WHERE run.id = expired.id
RETURNING run.id::text, run.name, run.worker`

/** Input: $1 how many. What has not been handed to anybody, and was cancelled. */
export const drop = `
WITH unwanted AS MATERIALIZED (
  SELECT id FROM scheduler_runs WHERE state IN ('waiting', 'pending') AND cancel_requested LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE scheduler_runs AS run SET state = 'cancelled', finished_at = now()
FROM unwanted WHERE run.id = unwanted.id
RETURNING run.id::text, run.name`

/**
 * In one pass, because the planner takes what is active for nothing: it looked at all in the quiet, and an anti join took 50 s for 8,000 schedules.
 * Input: $1 how many. Output: schedules whose runs are held back by nothing.
 */
export const heldByNothing = `
SELECT schedule_id::text AS id FROM scheduler_runs
WHERE schedule_id IS NOT NULL AND state IN ('waiting', 'pending', 'enqueued', 'running')
GROUP BY schedule_id HAVING bool_and(state = 'waiting') LIMIT $1`
