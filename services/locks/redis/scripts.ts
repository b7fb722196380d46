import { createHash } from 'node:crypto'

/** A script, and the hash by which a server knows it once it has run it. */
export interface Script {
  text: string
  sha: string
}

/**
 * Takes the keys of a lock, all or none.
 *
 * Input: KEYS the names; ARGV[1] the value of the grant, ARGV[2] the ttl, ms.
 * Output: the number of keys, or 0, and nothing changed, when somebody has one of them.
 */
export const acquireScript = scriptOf(`
if redis.call('EXISTS', unpack(KEYS)) > 0 then return 0 end
for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
return #KEYS
`)

/**
 * Gives the keys of a lock more time. Redlock's own script writes them anew.
 *
 * Input: KEYS the names; ARGV[1] the value of the grant, ARGV[2] the ttl, ms.
 * Output: the number of keys, or 0, and nothing changed, when one of them is not ours.
 */
export const extendScript = scriptOf(`
for _, key in ipairs(KEYS) do
  if redis.pcall('GET', key) ~= ARGV[1] then return 0 end
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
return #KEYS
`)

/**
 * Deletes those keys of a lock that are ours, and wakes who waits for them. A user without a right to publish delays them only.
 *
 * Input: KEYS the names; ARGV[1] the value of the grant.
 * Output: how many keys were ours. Each has a message on the channel of its own name.
 */
export const releaseScript = scriptOf(`
local count = 0
for _, key in ipairs(KEYS) do
  if redis.pcall('GET', key) == ARGV[1] then
    redis.call('DEL', key)
    redis.pcall('PUBLISH', key, '')
    count = count + 1
  end
end
return count
`)

/** Input: KEYS[1] the name. Output: 1 when somebody holds it. */
export const existsScript = scriptOf("return redis.call('EXISTS', KEYS[1])")

function scriptOf (text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
