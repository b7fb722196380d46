/* The life of one run: see relay-sql.ts for how it comes to be executed. A start has a fence, and every later write of it has to give that. */

/** Of a row of scheduler_runs AS run. */
const begun = 'run.id::text, run.name, run.owner, run.kind, run.tick, run.state, run.payload, run.starts, run.failures, run.fence::text, run.schedule_id::text AS "scheduleId", run.error'

/** What is locked is waited for, or passed over. */
type Locked = '' | 'SKIP LOCKED'

/**
 * Input, one for each run: $1 ids, $2 starts that are allowed, $3 workers, $4 leases (ms). Output: the rows as started; where the state is not `running`, it
 * tells why the run was not started. Those without a row are not there to be started, or a process has them.
 */
const beginning = (locked: Locked): string => `
UPDATE scheduler_runs AS run SET
  state = verdict.state,
  starts = run.starts + verdict.counted,
  fence = CASE WHEN verdict.counted = 1 THEN nextval('scheduler_fences') ELSE run.fence END,
  worker = verdict.worker,
  lease_until = CASE WHEN verdict.counted = 1 THEN now() + verdict.lease * interval '1 millisecond' END,
  started_at = CASE WHEN verdict.counted = 1 THEN now() ELSE run.started_at END,
  finished_at = CASE WHEN verdict.counted = 0 THEN now() END,
  progress = NULL, total = NULL,
  error = CASE verdict.state WHEN 'dead' THEN 'it was started ' || run.starts || ' times and never came to an end; the last error: ' || coalesce(run.error, 'none') ELSE run.error END
FROM (
  SELECT found.id, wanted.worker, wanted.lease,
    CASE WHEN cancel_requested THEN 'cancelled' WHEN starts >= max_starts THEN 'dead' ELSE 'running' END AS state,
    CASE WHEN cancel_requested OR starts >= max_starts THEN 0 ELSE 1 END AS counted, found.started_at IS NULL AS is_first
  FROM unnest($1::bigint[], $2::int[], $3::text[], $4::float8[]) AS wanted (id, max_starts, worker, lease)
  JOIN scheduler_runs AS found ON found.id = wanted.id
  WHERE found.state = 'enqueued' OR found.state = 'running' AND found.lease_until < now()
  FOR UPDATE OF found ${locked}
) AS verdict
WHERE run.id = verdict.id
RETURNING ${begun}, CASE WHEN verdict.is_first THEN extract(epoch FROM now() - run.tick)::float8 * 1000 END AS lag`

export const begin = beginning('')
export const beginFree = beginning('SKIP LOCKED')

/** Input: $1 id. This process takes no more. */
export const release = `
UPDATE scheduler_runs SET state = 'pending', due_at = now() WHERE id = $1::bigint AND state = 'enqueued'`

/** Of a row of scheduler_runs: how often it was handed to a process and not started. */
const offers = '(enqueues - starts)'

/** Input: $1 id, $2 delay of the first ten offers (ms), of which each ten have one more, up to $3; $4 how many offers there are. Output: the row; it is `dead` after the last one. */
export const refuse = `
UPDATE scheduler_runs AS run SET
  state = CASE WHEN ${offers} < $4 THEN 'pending' ELSE 'dead' END,
  due_at = now() + least($2 * ceil(${offers} / 10.0), $3) * interval '1 millisecond',
  finished_at = CASE WHEN ${offers} < $4 THEN NULL ELSE now() END,
  error = CASE WHEN ${offers} < $4 THEN error ELSE 'it was offered ' || ${offers} || ' times, and no process had a handler for it' END
WHERE id = $1::bigint AND state = 'enqueued'
RETURNING ${begun}, NULL AS lag`

/** Input: $1 how long what has ended is kept (ms), $2 how many. Output: a row for each that was deleted. */
export const prune = `
DELETE FROM scheduler_runs WHERE id = ANY(ARRAY(
  SELECT id FROM scheduler_runs WHERE finished_at < now() - $1 * interval '1 millisecond' ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED
)) RETURNING id`

/** Input: $1 ids, $2 fences, $3 progress, $4 totals, $5 lease (ms). Output: of those that are still ours, id, fence, and whether they are to be cancelled. */
export const extend = `
UPDATE scheduler_runs AS run SET
  lease_until = now() + $5 * interval '1 millisecond', progress = coalesce(held.progress, run.progress), total = coalesce(held.total, run.total)
FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::int[]) AS held (id, fence, progress, total)
WHERE run.id = held.id AND run.fence = held.fence AND run.state = 'running'
RETURNING run.fence::text, run.cancel_requested AS "isCancelled"`

/** Of a row of scheduler_runs AS run. */
const heldBack = `(
  SELECT waiting.schedule_id::text FROM scheduler_runs AS waiting WHERE waiting.schedule_id = run.schedule_id AND waiting.state = 'waiting' LIMIT 1
) AS "heldBack"`

/** Input: $1 id, $2 fence, $3 state. Output: as of `finish`, where that was done and its answer was lost. */
export const finished = `
SELECT run.id::text, ${heldBack} FROM scheduler_runs AS run
WHERE id = $1::bigint AND fence = $2::bigint AND (state = $3 OR $3 = 'pending' AND state = 'enqueued')`

/**
 * Input, one for each run: $1 ids, $2 fences, $3 states, $4 errors, $5 failures to add, $6 starts to take back, $7 due in (ms), of a pending one, $8 progress,
 * $9 totals. Output: id, and the schedule, when runs of it are held back. Those without a row are not ours any more.
 */
const finishing = (locked: Locked): string => `
UPDATE scheduler_runs AS run SET
  state = ending.state, error = ending.error, failures = run.failures + ending.failures, starts = run.starts - ending.uncounted,
  due_at = CASE ending.state WHEN 'pending' THEN now() + ending.delay * interval '1 millisecond' ELSE run.due_at END,
  finished_at = CASE ending.state WHEN 'pending' THEN NULL ELSE now() END,
  lease_until = NULL, progress = coalesce(ending.progress, run.progress), total = coalesce(ending.total, run.total)
FROM (
  SELECT given.*
  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::int[], $6::int[], $7::float8[], $8::int[], $9::int[])
    AS given (id, fence, state, error, failures, uncounted, delay, progress, total)
  JOIN scheduler_runs AS held ON held.id = given.id AND held.fence = given.fence AND held.state = 'running'
  FOR UPDATE OF held ${locked}
) AS ending
WHERE run.id = ending.id AND run.fence = ending.fence AND run.state = 'running'
RETURNING run.id::text, ${heldBack}`

export const finish = finishing('')
export const finishFree = finishing('SKIP LOCKED')

/** Input: $1 schedules. Claiming locks the same rows: nobody decides over a schedule's runs beside us until COMMIT. In the order in which they are declared. */
export const lockSchedules = `
SELECT id FROM schedules WHERE id = ANY($1::bigint[]) ORDER BY name, owner FOR NO KEY UPDATE`

/** Input: $1 schedules that are locked. Output: the runs that were let go: the oldest one of each, where nothing of it is active. */
export const promote = `
UPDATE scheduler_runs AS run SET state = 'pending'
FROM (
  SELECT DISTINCT ON (schedule_id) id FROM scheduler_runs WHERE schedule_id = ANY($1::bigint[]) AND state = 'waiting' ORDER BY schedule_id, tick, id
) AS oldest
WHERE run.id = oldest.id AND NOT EXISTS (
  SELECT 1 FROM scheduler_runs AS active WHERE active.schedule_id = run.schedule_id AND active.state IN ('pending', 'enqueued', 'running')
)
RETURNING run.id`
