/**
 * The scripts that run inside Redis. They know nothing about presence: REGISTER replaces a record if it did not change
 * since the caller read it, stamps it and publishes it. They are plain scripts, not functions, so nothing has to be loaded
 * after a restart, and two releases can run side by side.
 *
 * Measured on 2026-11-29 with `npm run bench -- cluster-costs` (see server/cluster/README.md).
 */

/** Reads `last clock epoch fences`, the state of a bucket. */
const READ_META = `
local meta = redis.call('GET', KEYS[1])
local w, c, e, fences = '-', '0', '0', ''
if meta then w, c, e, fences = string.match(meta, '^(%S+) (%d+) (%d+) (.*)$') end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`;

/**
 * KEYS: meta, record, index of each joining and leaving incarnation, and for each step the times and the events of its
 * rule. ARGV after the signs: for each step the rule, `from status cause flag` ('' drops), the delay, the maximum. See
 * event-scripts.ts for the form of an event.
 */
export const REGISTER = `${READ_META}
local op, inc, expect, floor, shown, channel, user, body, pushed, signs = unpack(ARGV)
if fences ~= '' and string.find(fences, inc .. '@', 1, true) then return {'fenced'} end
local old = redis.call('GET', KEYS[2])
local n, v, last = '0', '0', ''
if old then
  local at
  n, v, last, at = string.match(old, '^(%d+) (%d+) (%S+) (%d+) ')
  -- What no node can read is no record: it is replaced.
  if not n or #n > 15 or #v > 15 or #at > 15 or #last > 100 then n, v, last = '0', '0', '' end
end
if last == op then return {'done', old} end
if tonumber(n) ~= tonumber(expect) then return {'moved', old or ''} end
local t = now()
local n2 = string.format('%.0f', math.max(t, c + 1, n + 1, floor + 1))
if shown == '1' then v = n2 end
local stamp = n2 .. ' ' .. v .. ' ' .. op .. ' ' .. string.format('%.0f', t)
redis.call('SET', KEYS[2], stamp .. ' ' .. body)
redis.call('SET', KEYS[1], op .. ' ' .. n2 .. ' ' .. e .. ' ' .. fences)
for i = 1, #signs do
  redis.call(string.sub(signs, i, i) == '+' and 'SADD' or 'SREM', KEYS[i + 2], user)
end
redis.call('SPUBLISH', channel, user .. '\\t' .. stamp .. '\\t' .. w .. '\\t' .. pushed)
local results, k = '', 2 + #signs
for i = 11, #ARGV, 4 do
  local times, events, rule, words = KEYS[k + 1], KEYS[k + 2], ARGV[i], ARGV[i + 1]
  local waiting, result = redis.call('HGET', events, user), 'n'
  if waiting then result = 'r' end
  local from, rest = string.match(words, '^(%S+)( .*)$')
  local was, wasNews = string.match(waiting or '', '^%S+ (%S+) %S+ %S+ (%d)')
  local isBack = was and wasNews == '0' and string.match(rest or '', '^ (%S+)') == was
  if not from or (isBack and tonumber(redis.call('ZSCORE', times, user) or 0) > t) then
    redis.call('HDEL', events, user)
    redis.call('ZREM', times, user)
  elseif not waiting and redis.call('ZCARD', times) >= tonumber(ARGV[i + 3]) then
    result = 'd'
  else
    local entry = string.match(body, '^[^\\t]*')
    if wasNews == '1' then rest = string.sub(rest, 1, -2) .. '1' end
    redis.call('HSET', events, user, op .. '-' .. rule .. ' ' .. (was or from) .. rest .. ' ' .. stamp .. ' ' .. entry)
    redis.call('ZADD', times, string.format('%.0f', t + ARGV[i + 2]), user)
  end
  results, k = results .. result, k + 2
end
return {'ok', stamp, results}
`;

/** KEYS: meta. ARGV: channel. */
export const TICK = `${READ_META}
local c2 = string.format('%.0f', math.max(now(), c + 1))
redis.call('SET', KEYS[1], w .. ' ' .. c2 .. ' ' .. e .. ' ' .. fences)
redis.call('SPUBLISH', ARGV[1], '\\t' .. w .. ' ' .. c2 .. ' ' .. e .. '\\t' .. w)
`;

/** KEYS: meta. ARGV: channel, floor, operation. */
export const EPOCH = `${READ_META}
if tonumber(e) > tonumber(ARGV[2]) then return e end
local c2 = string.format('%.0f', math.max(now(), c + 1, ARGV[2] + 1))
redis.call('SET', KEYS[1], ARGV[3] .. ' ' .. c2 .. ' ' .. c2 .. ' ' .. fences)
redis.call('SPUBLISH', ARGV[1], '\\t' .. ARGV[3] .. ' ' .. c2 .. ' ' .. c2 .. '\\t' .. w)
return c2
`;

/** KEYS: record. ARGV: its number. */
export const FORGET_RECORD = `
local old = redis.call('GET', KEYS[1])
if old and string.match(old, '^(%d+) ') == ARGV[1] then redis.call('DEL', KEYS[1]) end
`;

/** KEYS: members. ARGV: field, number. */
export const ERASED_UP_TO = `
local old = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) or 0
if tonumber(ARGV[2]) > old then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
`;

/** KEYS: meta, index. ARGV: incarnation, milliseconds for which a fence stands. */
export const FENCE = `${READ_META}
local t = now()
local kept = ''
for id, at in string.gmatch(fences, '([^@]+)@(%d+),') do
  if id ~= ARGV[1] and t - at < tonumber(ARGV[2]) then kept = kept .. id .. '@' .. at .. ',' end
end
kept = kept .. ARGV[1] .. '@' .. string.format('%.0f', t) .. ','
redis.call('SET', KEYS[1], w .. ' ' .. c .. ' ' .. e .. ' ' .. kept)
return redis.call('SMEMBERS', KEYS[2])
`;

/** KEYS: members, history. ARGV: incarnation, beat, state, facts, a new name for a history. */
export const RENEW = `
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not (old and string.find(old, '^%d+ dead ')) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
end
redis.call('SET', KEYS[2], ARGV[5], 'NX')
return {redis.call('GET', KEYS[2]), redis.call('HGETALL', KEYS[1])}
`;

/** KEYS: members. ARGV: incarnation, beat, milliseconds for which dead incarnations are remembered. */
export const DECLARE_DEAD = `
local time = redis.call('TIME')
local t = time[1] * 1000
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at = string.match(all[i + 1], '^%d+ dead (%d+)$')
  if at and t - at > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i]) end
end
local old = redis.call('HGET', KEYS[1], ARGV[1])
local beat = old and string.match(old, '^(%d+) live ')
if beat ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], beat .. ' dead ' .. string.format('%.0f', t))
return 1
`;
