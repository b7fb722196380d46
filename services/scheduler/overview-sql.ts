/* What the gauges show. */

/** Input: $1 how late a tick may be, ms. Output: for each job, how many schedules are later. */
export const overdue = `
SELECT name, count(*)::int AS count FROM schedules
WHERE next_at IS NOT NULL AND paused_at IS NULL AND next_at < now() - $1 * interval '1 ms' AND greatest(next_at, not_before) < now() - $1 * interval '1 ms'
GROUP BY name`

/** Input: none. Output: how many runs are due and not begun. */
export const queued = `
SELECT count(*)::int AS count FROM scheduler_runs WHERE state = 'enqueued' OR (state = 'pending' AND due_at <= now())`
