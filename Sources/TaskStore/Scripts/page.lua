#!lua flags=no-writes
-- Candidates for a page from several places.
-- ARGV: 1 prefix, 2 how many of each list, then for each list place ('q', 'qh', 'ql', 'sq', 'done', 'dead', 'run' or 'due'), type
--       and position ('' at the start); a place '' ends the lists that are merged: if they gave enough, nothing more is read.
--       A position is that of the last entry seen: in a list its absolute number (entries that ever left at the old end count
--       on), in a sorted set score and key.
-- Returns for each list read {position, id, record, position, id, record, ...} in the order of the page.
local limit, answer, found_in_all = tonumber(ARGV[2]), {}, 0
local OLD_END = { q = LEFT.q, qh = LEFT.qh, ql = LEFT.ql, sq = LEFT.sq, done = 'done', dead = 'dead' }

local function from_list(place, type, position)
  local source, keys, positions, rounds = P .. place .. ':' .. type, {}, {}, {}
  local gone = tonumber(call('HGET', P .. 'n:' .. type, OLD_END[place]) or '0')
  local last = call('LLEN', source) - 1
  if position ~= '' then last = math.min(last, tonumber(position) - 1 - gone) end
  local entries = last >= 0 and call('LRANGE', source, math.max(0, last - limit + 1), last) or {}
  local is_final = place == 'done' or place == 'dead'
  for j = #entries, 1, -1 do
    keys[#keys + 1] = is_final and P .. 't:' .. sub(entries[j], 1, 32) or entries[j]
    positions[#positions + 1] = string.format('%.0f', gone + last - (#entries - j))
    rounds[#rounds + 1] = is_final and (tonumber(sub(entries[j], 34)) or 0) or false
  end
  return keys, positions, rounds
end
-- The rank of the first entry behind a position, whose own entry may be gone. Very many may have the same score.
local function rank_after(source, score, key)
  if call('ZSCORE', source, key) == score then return call('ZRANK', source, key) + 1 end
  local low, high = call('ZCOUNT', source, '-inf', '(' .. score), call('ZCOUNT', source, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if call('ZRANGE', source, middle, middle)[1] <= key then low = middle + 1 else high = middle end
  end
  return low
end
local function from_set(place, type, position)
  local source, keys, positions = P .. place .. ':' .. type, {}, {}
  local score, key = string.match(position, '^(%S+) (.*)$')
  local first = score and rank_after(source, score, key) or 0
  local entries = call('ZRANGE', source, first, first + limit - 1, 'WITHSCORES')
  for j = 1, #entries, 2 do
    keys[#keys + 1] = entries[j]
    positions[#positions + 1] = entries[j + 1] .. ' ' .. entries[j]
  end
  return keys, positions, {}
end

for i = 3, #ARGV, 3 do
  local place, type, position = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if place == '' then
    if found_in_all >= limit then break end
  else
    local keys, positions, rounds = (OLD_END[place] and from_list or from_set)(place, type, position)
    local recs, entries = #keys > 0 and call('MGET', unpack(keys)) or {}, {}
    for j = 1, #keys do
      local rec = recs[j]
      -- An entry of an earlier life of the task is not this task's place, nor is one from before it had to run alone, or after.
      if rec and rounds[j] and unpack_('<I4', rec, 45) ~= rounds[j] then rec = false end
      if rec and LEFT[place] and flag(rec, ALONE) ~= (place == 'sq') then rec = false end
      if rec then found_in_all = found_in_all + 1 end
      entries[#entries + 1] = positions[j]
      entries[#entries + 1] = id_of(keys[j])
      entries[#entries + 1] = rec or ''
    end
    answer[#answer + 1] = entries
  end
end
return answer
