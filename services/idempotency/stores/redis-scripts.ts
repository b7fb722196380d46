import { createHash } from 'node:crypto'

/*
 * The value of a key, text; characters from 1 as Lua counts them, the first 87 are ASCII:
 *   1       state: r running, d completed, b completed with a body that is not UTF-8 and stands here as base64, t tombstone
 *   2–23    token of the attempt
 *   24–87   fingerprint, 64 hex digits
 *   88–     running: "<lease>:<retention>" in ms; completed: JSON [status, headers], a line feed, the body; tombstone: nothing
 * Every key lives for the retention from its last write, so the elapsed part of a lease is retention − PTTL, on the server's clock.
 * Text throughout, because it costs ioredis half of what bytes do.
 */

/** What an operation's argument starts with when it is not a value to be written. */
export const verbs = { extend: 'e', release: 'x', get: 'g' }

/** Second item of an exception when it is not the ms that are left of a lease. */
export const codes = { recovered: -1, other: -2, missing: -3, failed: -4, unknown: -5 }

/** Instead of a generation: none is compared. */
export const anyGeneration = '*'

/**
 * Executes a batch of operations in order, or nothing of it when Redis has another generation than the caller knows. A command that fails,
 * for want of memory or because the key is a list, fails its own operation only.
 *
 * Input: KEYS[1] the generation's key, KEYS[2…] one key an operation; ARGV[1] the generation, then one an operation: the value to be claimed or
 * completed with, or a verb and the token. "=<retention>", ms, stands before the first operation that it holds for.
 * Numbers for commands are text here, because Lua would print each with %.17g.
 * Output: nil when the generation is another, else the exceptions one after the other, three items each: number of the operation from 0, a code
 * or the ms left of the lease or the retention, a value or the text of an error. An operation without one went as hoped: claimed, held, or nothing found by `get`.
 */
export const batch = script(`
local call, byte, sub = redis.pcall, string.byte, string.sub
local keys, argv = KEYS, ARGV
if argv[1] ~= '${anyGeneration}' and redis.call('GET', keys[1]) ~= argv[1] then return false end
local out, n = {}, 0

local function tell (i, code, text)
  out[n + 1], out[n + 2], out[n + 3] = i - 2, code, text
  n = n + 3
end

local function refused (i, found)
  if type(found) == 'table' then tell(i, ${codes.failed}, found.err) else tell(i, found == '' and ${codes.missing} or ${codes.other}, '') end
end

local function done (i, result)
  if type(result) ~= 'table' or not result.err then return true end
  tell(i, ${codes.failed}, result.err)
end

-- ms, of what runs its lease, of what is finished its retention; nil of what is not understood
local function leftOf (key, value)
  if byte(value) ~= 114 then return math.max(0, redis.call('PTTL', key)) end
  local lease, retention = string.match(value, '^(%d+):(%d+)$', 88)
  return lease and math.max(0, lease - retention + redis.call('PTTL', key))
end

local function show (i, value, left)
  if left then tell(i, left, value) else tell(i, ${codes.unknown}, '') end
end

local function take (i, key, value, retention, found)
  if type(found) == 'table' then return refused(i, found) end
  local mine = byte(found) == 114 and sub(found, 2, 23) == sub(value, 2, 23)
  if not mine then
    local left = leftOf(key, found)
    if byte(found) ~= 114 or left ~= 0 or sub(found, 24, 87) ~= sub(value, 24, 87) then return show(i, found, left) end
  end
  if done(i, call('SET', key, value, 'PX', retention)) and not mine then tell(i, ${codes.recovered}, '') end
end

local at, retention = 1, nil
for i = 2, #keys do
  at = at + 1
  local key, argument = keys[i], argv[at]
  local verb = byte(argument)
  if verb == 61 then
    retention = sub(argument, 2)
    at = at + 1
    argument = argv[at]
    verb = byte(argument)
  end
  if verb == 114 then
    local found = call('SET', key, argument, 'PX', retention, 'NX', 'GET')
    if found then take(i, key, argument, retention, found) end
  elseif verb == 101 or verb == 120 then
    local found = call('GETRANGE', key, '0', '22')
    if found ~= 'r' .. sub(argument, 2) then refused(i, found)
    elseif verb == 101 then done(i, call('PEXPIRE', key, retention))
    elseif done(i, call('DEL', key)) then call('PUBLISH', key, '') end
  elseif verb == 103 then
    local found = call('GET', key)
    if type(found) == 'table' then refused(i, found) elseif found then show(i, found, leftOf(key, found)) end
  else
    local found = call('GETRANGE', key, '1', '22')
    if found ~= sub(argument, 2, 23) then refused(i, found)
    elseif done(i, call('SET', key, argument, 'PX', retention)) then call('PUBLISH', key, '') end
  end
end
return out
`)

export interface Script {
  source: string
  sha: string
}

function script (source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}
