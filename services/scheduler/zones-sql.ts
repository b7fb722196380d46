/* Ticks that were computed with an older tz database than that of this process. */

/** Input: $1 release, $2 how many. Output: such schedules, locked: id, cron, timezone; now, in ms since the epoch. Those that others have locked come another time. */
export const lockOlder = `
SELECT id::text, cron, timezone, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now
FROM schedules WHERE cron IS NOT NULL AND timezone <> 'UTC' AND next_at IS NOT NULL AND tz_release < $1
ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED`

/** Input: $1 release, $2 ids of schedules that are locked, $3 their next ticks, in ms since the epoch; null: unknown. A tick that is due stays. */
export const move = `
UPDATE schedules AS schedule SET
  tz_release = $1,
  next_at = CASE WHEN batch.next_at IS NULL OR schedule.next_at <= clock_timestamp() THEN schedule.next_at
    ELSE timestamptz 'epoch' + batch.next_at * interval '1 ms' END
FROM unnest($2::bigint[], $3::float8[]) AS batch (id, next_at) WHERE schedule.id = batch.id`
