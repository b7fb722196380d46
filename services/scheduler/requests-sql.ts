/* Runs that somebody asks for, at most once for one request id. */

/**
 * Input: $1 name, $2 payload, $3 not before, $4 request id. Output: id. Nothing: the request id has a run. One that another transaction has just written
 * is waited for.
 */
export const enqueue = `
INSERT INTO scheduler_runs (name, kind, tick, state, payload, due_at, request_id)
VALUES ($1, 'enqueued', now(), 'pending', $2::jsonb, coalesce($3::timestamptz, now()), $4)
ON CONFLICT (request_id) WHERE request_id IS NOT NULL DO NOTHING
RETURNING id::text`

/** Input: $1 request id, $2 kind, $3 name, $4 owner. Output: id, state, and whether it is such a run. */
export const find = `
SELECT id::text, state, (kind, name, owner) = ($2::text, $3::text, $4::text) AS "isSame" FROM scheduler_runs WHERE request_id = $1`
