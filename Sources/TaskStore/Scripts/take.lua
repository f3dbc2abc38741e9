#!lua flags=allow-oom
-- Moves tasks, or handler calls, from a type's queue to a worker.
-- ARGV: 1 prefix, 2 worker, 3 its 8 bytes, 4 epoch, 5 type, 6 'q', 'sq' (tasks that run alone) or 'hq' (handler calls),
--       7 number of the batch (never used twice), 8 how many at most, 9 bytes of records and params at most.
-- Returns nil if the worker may not write, else {time in ms, 1 if more is left there, the worker's fence, the batch as in-flight
--         keeps it (for each task its key and 4 bytes), then the record of each}.
local worker, worker8, type = ARGV[2], ARGV[3], ARGV[5]
if not admitted(worker, ARGV[4]) then return nil end
local handlers, alone, most = ARGV[6] == 'hq', ARGV[6] == 'sq', tonumber(ARGV[8])
local answer, paused, is_mixed = { now, 0, call('GET', P .. 'fence:' .. worker), '' }, false, false
if not handlers then
  paused, is_mixed = control(type)
  if paused then return answer end
  is_mixed = is_mixed and not alone
end

-- The entries of the queue, or of the three in turns: out of 16 places 12 are for high, 3 for normal, 1 for low priority, and
-- a place that finds nothing falls to the highest there is. The turns go on from take to take.
local TURNS = { 'qh', 'qh', 'qh', 'qh', 'q', 'qh', 'qh', 'qh', 'qh', 'q', 'qh', 'qh', 'qh', 'qh', 'q', 'ql' }
local function in_turns()
  local turn, at, keys, from = tonumber(call('HGET', P .. 'n:' .. type, 'turn') or '0'), { qh = 1, q = 1, ql = 1 }, {}, {}
  local lists = {}
  for name in pairs(at) do lists[name] = call('LRANGE', P .. name .. ':' .. type, 0, most - 1) end
  for i = 1, most do
    local name
    for _, one in ipairs({ TURNS[(turn + i - 1) % 16 + 1], 'qh', 'q', 'ql' }) do
      if lists[one][at[one]] then name = one break end
    end
    if not name then break end
    keys[i], from[i] = lists[name][at[name]], name
    at[name] = at[name] + 1
  end
  return keys, from
end

local keys, from
if is_mixed then keys, from = in_turns() else keys = call('LRANGE', P .. ARGV[6] .. ':' .. type, 0, most - 1) end
local records, flight, takes, seen, used, bytes, limit = {}, {}, {}, {}, 0, 0, tonumber(ARGV[9])
if #keys > 0 then
  local recs, taken = call('MGET', unpack(keys)), 0
  for i = 1, #keys do
    local key, rec = keys[i], recs[i]
    if bytes >= limit then break end
    used = i
    -- The record decides, an entry is a hint: cancelled, deleted and retried tasks leave ghosts behind, and whether a task runs
    -- alone may have changed since.
    local fits = rec and not seen[key]
    if fits and handlers then
      fits = byte(rec, 3) == 112 and sub(rec, 33, 40) == NOBODY
    elseif fits then
      fits = byte(rec, 2) == 80 and (byte(rec, 49) >= ALONE) == alone
    end
    if fits then
      seen[key] = true
      local last = sub(rec, 41, 44)
      local take = takes[last]
      if not take then take = pack('<I4', unpack_('<I4', last) + 1) takes[last] = take end
      local new
      if handlers then
        new = sub(rec, 1, 32) .. worker8 .. take .. sub(rec, 45)
      else
        new = '1T' .. sub(rec, 3, 32) .. worker8 .. take .. sub(rec, 45)
      end
      taken = taken + 1
      records[2 * taken - 1], records[2 * taken] = key, new
      flight[2 * taken - 1], flight[2 * taken] = key, take
      answer[4 + taken] = new                    -- as it is: one string of all records would be one more copy
      bytes = bytes + #new
      -- The worker reads large bodies next: they count by their size, which stands in their place.
      local bodies = byte(rec, 5)
      if bit.band(bodies, 1) ~= 0 then
        local last_byte = body_end(rec)
        bytes = bytes + tonumber(sub(rec, last_byte - unpack_('<I4', rec, 61) + 1, last_byte))
      end
      if handlers and bit.band(bodies, 2) ~= 0 then bytes = bytes + tonumber(string.match(outcome_of(rec), '%d+$')) end
    end
  end
end

-- How many entries leave which queue.
local lefts = { [ARGV[6]] = used }
if is_mixed then
  lefts = {}
  for i = 1, used do lefts[from[i]] = (lefts[from[i]] or 0) + 1 end
end

-- Redis does not roll a script back: first what finds the tasks in their new place, then the records, last the old places.
if #flight > 0 then
  answer[4] = table.concat(flight)
  call('HSET', P .. 'flight:' .. worker, ARGV[7], answer[4])
  call('MSET', unpack(records))
end
if used > 0 then
  for name, number in pairs(lefts) do call('LTRIM', P .. name .. ':' .. type, number, -1) end
  if not handlers then
    for name, number in pairs(lefts) do call('HINCRBY', P .. 'n:' .. type, LEFT[name], number) end
  end
  if is_mixed then call('HINCRBY', P .. 'n:' .. type, 'turn', used) end
end
local left = (handlers or alone) and call('LLEN', P .. ARGV[6] .. ':' .. type) or waiting(type, is_mixed)
if left > 0 then
  wake((handlers and 'hwake:' or alone and 'swake:' or 'wake:') .. type)
  answer[2] = 1
elseif is_mixed then
  call('HDEL', P .. 'control', 'mixed:' .. type)
end
return answer
