import { createHash } from 'node:crypto'

/*
 * The value of a key, bytes from 1 as Lua counts them:
 *   1       state: r running, d completed, t tombstone
 *   2–23    token of the attempt
 *   24–87   fingerprint, 64 hex digits: a value that is all text costs ioredis half of one with bytes
 *   88–     running: "<lease>:<retention>" in ms; completed: JSON [status, headers], a line feed, the body; tombstone: nothing
 * Every key lives for the retention from its last write, so the elapsed part of a lease is retention − PTTL, on the server's clock.
 */

export interface Script {
  source: string
  sha: string
}

function script (source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

/**
 * Looks again at a key that was found running, and takes it over when its lease is past.
 * Input: KEYS[1]; ARGV[1] the value of the new claim, ARGV[2] its retention in ms.
 * Output: { '', 1 when another attempt was taken over, else 0 } when it is ours now, else { value, ms of the lease left }.
 */
export const takeOver = script(`
local value = redis.call('GET', KEYS[1])
local recovered = 0
if value then
  if string.sub(value, 1, 1) ~= 'r' then return { value, 0 } end
  if string.sub(value, 2, 23) ~= string.sub(ARGV[1], 2, 23) then
    local lease, retention = string.match(string.sub(value, 88), '^(%d+):(%d+)$')
    local left = tonumber(lease) - tonumber(retention) + redis.call('PTTL', KEYS[1])
    if left > 0 or string.sub(value, 24, 87) ~= string.sub(ARGV[1], 24, 87) then return { value, left } end
    recovered = 1
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { '', recovered }
`)

/**
 * Finishes the record. Input: KEYS[1]; ARGV[1] the finished value, ARGV[2] the retention in ms. Output: 1, or 0 when the key is not this
 * attempt's. A completion whose reply was lost can be repeated.
 */
export const complete = script(`
local value = redis.call('GET', KEYS[1])
if not value or string.sub(value, 2, 23) ~= string.sub(ARGV[1], 2, 23) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

/** Starts the lease anew. Input: KEYS[1]; ARGV[1] the token, ARGV[2] the retention in ms. Output: 1, or 0 when the claim is not this attempt's. */
export const extend = script(`
local value = redis.call('GETRANGE', KEYS[1], 0, 22)
if value ~= 'r' .. ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

/** Gives the key back. Input: KEYS[1]; ARGV[1] the token. Output: 1, or 0 when the claim is not this attempt's. */
export const release = script(`
local value = redis.call('GETRANGE', KEYS[1], 0, 22)
if value ~= 'r' .. ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`)

/** Input: KEYS[1]. Output: nil, or { value, PTTL }. */
export const look = script(`
local value = redis.call('GET', KEYS[1])
if not value then return nil end
return { value, redis.call('PTTL', KEYS[1]) }
`)
