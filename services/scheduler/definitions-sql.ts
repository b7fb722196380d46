/** Output: now, of the database, in ms since the epoch. */
export const clock = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now'

/**
 * Input, one for each schedule: $1 names, $2 owners, $3 crons, $4 everys, $5 time zones, $6 jitters, $7 overlaps, $8 catch-up policies, $9 their windows,
 * $10 their caps, $11 payloads, $12 hashes, $13 revisions, $14 the first ticks as of a new one: durations in ms, instants in ms since the epoch; $15 the release of the tz database.
 * Of equal hashes nothing is written. Where the cadence has changed, a tick that is due stays, and an interval goes on from the last tick.
 * Rows are locked in one order, so that processes that boot together cannot deadlock.
 * Output: the names of those that were written.
 */
export const upsert = `
INSERT INTO schedules AS held (name, owner, cron, every_ms, timezone, jitter_ms, overlap, catch_up, catch_up_window_ms, catch_up_cap, payload, hash, revision, next_at, tz_release)
SELECT name, owner, cron, every, timezone, jitter, overlap, catch_up, catch_up_window, catch_up_cap, payload, hash, revision,
  timestamptz 'epoch' + first_at * interval '1 ms', $15
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::int[], $7::text[], $8::text[], $9::bigint[], $10::int[], $11::jsonb[], $12::text[], $13::bigint[], $14::float8[])
  AS batch (name, owner, cron, every, timezone, jitter, overlap, catch_up, catch_up_window, catch_up_cap, payload, hash, revision, first_at)
ORDER BY name, owner
ON CONFLICT (name, owner) DO UPDATE SET
  cron = excluded.cron, every_ms = excluded.every_ms, timezone = excluded.timezone, jitter_ms = excluded.jitter_ms, overlap = excluded.overlap,
  catch_up = excluded.catch_up, catch_up_window_ms = excluded.catch_up_window_ms, catch_up_cap = excluded.catch_up_cap, payload = excluded.payload,
  hash = excluded.hash, revision = excluded.revision, updated_at = now(), tz_release = least(held.tz_release, excluded.tz_release),
  next_at = CASE
    WHEN (held.cron, held.every_ms, held.timezone) IS NOT DISTINCT FROM (excluded.cron, excluded.every_ms, excluded.timezone) THEN held.next_at
    WHEN held.next_at <= clock_timestamp() AND excluded.next_at IS NOT NULL THEN held.next_at
    WHEN held.every_ms IS NOT NULL AND excluded.every_ms IS NOT NULL
      THEN greatest(excluded.next_at, held.next_at + (excluded.every_ms - held.every_ms) * interval '1 ms')
    ELSE excluded.next_at END
WHERE held.hash <> excluded.hash AND held.revision <= excluded.revision
RETURNING name`

/**
 * Input: $1 names of declared schedules, $2 hashes, $3 revisions, $4 start delays. Keeps them from being taken for orphans. A tick that has been due for 2 s
 * waits for the start delay: by then any process that lives would have claimed it. Once for one tick: processes that crash and boot again do not put it off for ever.
 */
export const see = `
WITH mine AS (
  SELECT schedule.id, batch.hash, batch.revision, batch.start_delay
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::float8[]) AS batch (name, hash, revision, start_delay)
  JOIN schedules AS schedule ON schedule.name = batch.name AND schedule.owner = ''
  ORDER BY schedule.name FOR NO KEY UPDATE OF schedule
)
UPDATE schedules AS held SET
  seen_at = now(),
  revision = CASE WHEN held.hash = mine.hash THEN greatest(held.revision, mine.revision) ELSE held.revision END,
  not_before = CASE
    WHEN mine.start_delay > 0 AND held.next_at < clock_timestamp() - interval '2 s' AND (held.not_before IS NULL OR held.not_before < held.next_at)
      THEN clock_timestamp() + mine.start_delay * interval '1 ms'
    ELSE held.not_before END
FROM mine WHERE held.id = mine.id`

/** Input: $1 names that are declared here, $2 the grace in ms. Output: the names and ids of those that nobody has declared for so long; they are gone. */
export const removeOrphans = `
DELETE FROM schedules
WHERE owner = '' AND seen_at < now() - $2::float8 * interval '1 ms' AND name <> ALL($1::text[])
RETURNING name, id::text`
