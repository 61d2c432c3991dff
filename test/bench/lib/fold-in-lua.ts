/**
 * The alternative to the register: Redis itself folds the sessions of a user, from a hash with one part per node. As
 * short as it can be: a real one needs take-overs, blocks and ages too. Only measured, never used.
 */
export const FOLD_IN_LUA = `
local meta = redis.call('GET', KEYS[1])
local w, c = '-', '0'
if meta then w, c = string.match(meta, '^(%S+) (%d+)') end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local all = redis.call('HGETALL', KEYS[2])
local rank = { away = 1, online = 2, busy = 3, invisible = 4 }
local best, seen, devices = nil, {}, {}
for i = 1, #all, 2 do
  if all[i] ~= 'n' then
    for _, s in ipairs(cjson.decode(all[i + 1])) do
      if not seen[s.d] then seen[s.d] = true; devices[#devices + 1] = s.d end
      if not best or rank[s.s] > rank[best.s] or (rank[s.s] == rank[best.s] and s.S > best.S) then best = s end
    end
  end
end
table.sort(devices)
local time = redis.call('TIME')
local t = string.format('%.0f', math.max(time[1] * 1000 + math.floor(time[2] / 1000), c + 1))
local entry = cjson.encode({ s = best.s, c = best.c, d = devices, x = best.x, t = t })
redis.call('HSET', KEYS[2], 'n', t .. ' ' .. entry)
redis.call('SET', KEYS[1], ARGV[5] .. ' ' .. t)
redis.call('SPUBLISH', ARGV[3], ARGV[4] .. '\\t' .. t .. '\\t' .. w .. '\\t' .. entry)
return t
`;
