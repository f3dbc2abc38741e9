#!lua flags=allow-oom
-- Removes finished tasks that are too many or too old, the oldest first.
-- ARGV: 1 prefix, 2 type, 3 'done' or 'dead', 4 how many may stay, 5 finished before this (ms) may go, 6 how many at most.
-- Returns how many entries it went through; fewer than asked for means that nothing more is to be done. 0 when it could
-- remove none, or a call after call would move tasks whose handlers are pending round in a circle.
local type, list = ARGV[2], P .. ARGV[3] .. ':' .. ARGV[2]
local limit, before = tonumber(ARGV[4]), tonumber(ARGV[5])
local length = call('LLEN', list)
local surplus = limit == 0 and length or math.min(length, kept(ARGV[3], tally(type))) - limit
local entries = call('LRANGE', list, 0, ARGV[6] - 1)
if #entries == 0 then return 0 end
local keys = {}
for i = 1, #entries do keys[i] = P .. 't:' .. sub(entries[i], 1, 32) end
local recs = call('MGET', unpack(keys))
local used, met, moved, forgotten = 0, 0, 0, {}
for i = 1, #entries do
  local key, rec = keys[i], recs[i]
  local round = tonumber(sub(entries[i], 34)) or 0
  -- An entry of an earlier life of the task, or of a deleted one, only goes away itself.
  local current = rec and not forgotten[key] and FINAL[byte(rec, 2)] and unpack_('<I4', rec, 45) == round
  if current then
    met = met + 1
    if met > surplus and unpack_('<I6', rec, 27) >= before then break end
    if byte(rec, 3) == 112 then
      add(pushes, ARGV[3], type, entries[i])               -- its handler is still to be called: to the end of the list
      moved = moved + 1
    else
      forgotten[key] = true
      forget(key, rec)
      count(type, SHOWN[byte(rec, 2)], -1)
    end
  end
  used = i
end
if used > 0 then
  count(type, ARGV[3], used)
  commit(function() call('LTRIM', list, used, -1) end)
end
return used > moved and used or 0
