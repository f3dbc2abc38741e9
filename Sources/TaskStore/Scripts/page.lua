#!lua flags=no-writes
-- One page's candidates from one place of several types.
-- ARGV: 1 prefix, 2 place ('q', 'done', 'dead', 'run' or 'due'), 3 how many of each type, then pairs of type and position
--       ('' at the start). A position is that of the last entry seen: in a list its absolute number (entries that ever
--       left at the old end count on), in a sorted set score and key.
-- Returns for each type {position, key, record, position, key, record, ...} in the order of the page.
local place, limit, answer = ARGV[2], tonumber(ARGV[3]), {}
local OLD_END = { q = 'taken', done = 'done', dead = 'dead' }
for i = 4, #ARGV, 2 do
  local type, position = ARGV[i], ARGV[i + 1]
  local source, found, keys, positions = P .. place .. ':' .. type, {}, {}, {}
  if OLD_END[place] then
    local gone = tonumber(call('HGET', P .. 'n:' .. type, OLD_END[place]) or '0')
    local last = call('LLEN', source) - 1
    if position ~= '' then last = math.min(last, tonumber(position) - 1 - gone) end
    local entries = last >= 0 and call('LRANGE', source, math.max(0, last - limit + 1), last) or {}
    for j = #entries, 1, -1 do
      keys[#keys + 1] = place == 'q' and entries[j] or P .. 't:' .. sub(entries[j], 1, 32)
      positions[#positions + 1] = string.format('%.0f', gone + last - (#entries - j))
      found[#found + 1] = place ~= 'q' and (tonumber(sub(entries[j], 34)) or 0) or false
    end
  else
    local score, key = string.match(position, '^(%S+) (.*)$')
    local at = 0
    repeat
      local part = call('ZRANGEBYSCORE', source, score or '-inf', '+inf', 'WITHSCORES', 'LIMIT', at, limit)
      for j = 1, #part, 2 do
        if #keys < limit and (not key or part[j + 1] ~= score or part[j] > key) then
          keys[#keys + 1] = part[j]
          positions[#positions + 1] = part[j + 1] .. ' ' .. part[j]
        end
      end
      at = at + limit
    until #keys >= limit or #part < 2 * limit
  end
  local recs, entries = #keys > 0 and call('MGET', unpack(keys)) or {}, {}
  for j = 1, #keys do
    local rec = recs[j]
    -- An entry of an earlier life of the task is not this task's place.
    if rec and found[j] and unpack_('<I4', rec, 45) ~= found[j] then rec = false end
    entries[#entries + 1] = positions[j]
    entries[#entries + 1] = id_of(keys[j])
    entries[#entries + 1] = rec or ''
  end
  answer[#answer + 1] = entries
end
return answer
