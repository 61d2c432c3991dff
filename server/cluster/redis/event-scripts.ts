/**
 * The scripts for webhook events inside Redis. Keys of each bucket and rule: `q`, when the event of each user is due; `e`,
 * the waiting events by user; `t`, the events that were taken for a batch. Keys of each rule: `b`, the batch that is being
 * sent; `c`, its sender; `d`, dead events; `p`, replayed events. An event is `id from status cause flag n v op t entry`.
 * Flag 1: it stays even if the user returns to the status `from`. REGISTER (scripts.ts) adds events.
 */

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** KEYS: q, e, t. ARGV: limit, longest delay, whether to return the users. */
export const TAKE = `${NOW}
local latest = string.format('%.0f', now + ARGV[2])
for _, user in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. latest, '+inf', 'LIMIT', 0, 1000)) do
  redis.call('ZADD', KEYS[1], latest, user)
end
local room = tonumber(ARGV[1]) - redis.call('HLEN', KEYS[3])
if room > 0 then
  local until_now = string.format('%.0f', now)
  for _, user in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', until_now, 'LIMIT', 0, room)) do
    local event = redis.call('HGET', KEYS[2], user)
    if not event then
      redis.call('ZREM', KEYS[1], user)
    elseif redis.call('HSETNX', KEYS[3], user, event) == 1 then
      redis.call('HDEL', KEYS[2], user)
      redis.call('ZREM', KEYS[1], user)
    end
  end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local users = {}
if ARGV[3] == '1' then users = redis.call('ZRANGE', KEYS[1], 0, -1) end
return {redis.call('HGETALL', KEYS[3]), first[2] and string.format('%.0f', first[2] - now) or '', users}
`;

/** KEYS: t. ARGV: user and id of each event. */
export const CLEAR = `
for i = 1, #ARGV, 2 do
  local event = redis.call('HGET', KEYS[1], ARGV[i])
  if event and string.match(event, '^%S+') == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
`;

/** KEYS: q, e, record of each user. ARGV: operation, rule, statuses, delay, maximum, users. */
export const RESTATE = `${NOW}
local results = ''
for i = 3, #KEYS do
  local user = ARGV[i + 3]
  local n, v, op, t, entry = string.match(redis.call('GET', KEYS[i]) or '', '^(%d+) (%d+) (%S+) (%d+) ([^\\t]*)')
  if not n then n, v, op, t, entry = '0', '0', '-', string.format('%.0f', now), '' end
  local status = string.match(entry, '^{"s":"(%l+)"') or 'offline'
  local result = 'n'
  if redis.call('HEXISTS', KEYS[2], user) == 1 or not string.find(ARGV[3], ',' .. status .. ',', 1, true) then
    result = 's'
  elseif redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then
    result = 'd'
  else
    local head = ARGV[1] .. '.' .. (i - 2) .. '-' .. ARGV[2] .. ' ' .. status .. ' ' .. status .. ' restored 1 '
    redis.call('HSET', KEYS[2], user, head .. n .. ' ' .. v .. ' ' .. op .. ' ' .. t .. ' ' .. entry)
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[4]), user)
  end
  results = results .. result
end
return results
`;

/** KEYS: q and t of each rule. Returns for each: waiting, taken, for how long the oldest one is due. */
export const COUNT = `${NOW}
local found = {}
for i = 1, #KEYS, 2 do
  local first = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  found[#found + 1] = redis.call('ZCARD', KEYS[i])
  found[#found + 1] = redis.call('HLEN', KEYS[i + 1])
  found[#found + 1] = first[2] and string.format('%.0f', now - first[2]) or ''
end
return found
`;

/** KEYS: e, t. ARGV: user. */
export const FIND = `return {redis.call('HGET', KEYS[2], ARGV[1]) or '', redis.call('HGET', KEYS[1], ARGV[1]) or ''}`;

/** KEYS: q, e, t. ARGV: user. */
export const FORGET = `
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
`;

/** KEYS: any. */
export const DELETE = `for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end`;

/** KEYS: c, b, p. ARGV: sender, milliseconds for which a claim lasts, a holder that left or died. Returns the batch. */
export const CLAIM = `${NOW}
local holder, at = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%d+)$')
local isFree = not holder or holder == ARGV[1] or holder == ARGV[3] or math.abs(now - at) > tonumber(ARGV[2])
if not isFree then return {'refused', holder} end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. string.format('%.0f', now))
return {'granted', redis.call('GET', KEYS[2]) or '', redis.call('LLEN', KEYS[3])}
`;

const IS_HOLDER = `
local holder = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) ')
if holder and holder ~= ARGV[1] then return 0 end
`;

/** KEYS: c. ARGV: sender. */
export const RELEASE = `${IS_HOLDER}
redis.call('DEL', KEYS[1])
return 1
`;

/** KEYS: c, b, p. ARGV: sender, batch, replayed events in it. A lost claim is lost with what it protected. */
export const STORE = `${IS_HOLDER}
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[3] ~= '0' then redis.call('LTRIM', KEYS[3], ARGV[3], -1) end
return 1
`;

/** KEYS: c, b. ARGV: sender, id of the batch, attempts, when to try again. Leaves the events as they are in the store. */
export const POSTPONE = `${IS_HOLDER}
local batch = redis.call('GET', KEYS[2])
if not batch or not string.find(batch, '{"id":"' .. ARGV[2] .. '"', 1, true) then return 0 end
local tries = '"attempts":' .. ARGV[3] .. ',"nextAt":' .. ARGV[4] .. ','
redis.call('SET', KEYS[2], (string.gsub(batch, '"attempts":%d+,"nextAt":[%d.]+,', tries, 1)))
return 1
`;

/** KEYS: b. ARGV: the batch as it was read, the new one; empty: none. */
export const REPLACE_BATCH = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
`;

/** KEYS: c, b, d. ARGV: sender, id of the batch, maximum dead events, dead events. */
export const SETTLE = `${IS_HOLDER}
local batch = redis.call('GET', KEYS[2])
if batch and not string.find(batch, '{"id":"' .. ARGV[2] .. '"', 1, true) then return 0 end
redis.call('DEL', KEYS[2])
for i = 4, #ARGV do redis.call('RPUSH', KEYS[3], ARGV[i]) end
if #ARGV > 3 then redis.call('LTRIM', KEYS[3], -ARGV[3], -1) end
return 1
`;

/** KEYS: d, p. Moves up to 500 events. Returns how many. */
export const REPLAY = `
local some = redis.call('LRANGE', KEYS[1], 0, 499)
for _, event in ipairs(some) do redis.call('RPUSH', KEYS[2], event) end
redis.call('LTRIM', KEYS[1], #some, -1)
return #some
`;

/** KEYS: b, p, d. Returns the batch and the lengths of the others. */
export const COUNT_SENT = `
return {redis.call('GET', KEYS[1]) or '', redis.call('LLEN', KEYS[2]), redis.call('LLEN', KEYS[3])}
`;

/** KEYS: d, p. ARGV: user. Removes its events from both lists. */
export const FORGET_DEAD = `
for i = 1, #KEYS do
  for _, event in ipairs(redis.call('LRANGE', KEYS[i], 0, -1)) do
    if string.find(event, '"entry":{"user":"' .. ARGV[1] .. '"', 1, true) then redis.call('LREM', KEYS[i], 1, event) end
  end
end
`;

/** KEYS: list. ARGV: number of elements from the start. */
export const FIRST = `return redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)`;

/** KEYS: set. ARGV: a name to add, or nothing. Returns all names. */
export const NAMES = `
if #ARGV > 0 then redis.call('SADD', KEYS[1], ARGV[1]) end
return redis.call('SMEMBERS', KEYS[1])
`;

/** KEYS: set. ARGV: the name to remove. */
export const UNNAME = `redis.call('SREM', KEYS[1], ARGV[1])`;
