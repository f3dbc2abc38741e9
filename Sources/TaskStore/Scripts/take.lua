#!lua flags=allow-oom
-- Moves tasks, or handler calls, from a type's queue to a worker.
-- ARGV: 1 prefix, 2 worker, 3 its 8 bytes, 4 epoch, 5 type, 6 'q' or 'hq', 7 number of the batch (never used twice),
--       8 how many at most, 9 bytes of records at most.
-- Returns nil if the worker may not write, else {time in ms, tasks left in the queue, handler calls left,
--         the batch as in-flight keeps it (for each task its key and 4 bytes), then the record of each}.
local worker, worker8, type = ARGV[2], ARGV[3], ARGV[5]
if not admitted(worker, ARGV[4]) then return nil end
local queue, handlers = P .. ARGV[6] .. ':' .. type, ARGV[6] == 'hq'
local keys = call('LRANGE', queue, 0, ARGV[8] - 1)
local answer, flight, takes, seen, used, bytes, most = { now, 0, 0, '' }, {}, {}, {}, 0, 0, tonumber(ARGV[9])
if #keys > 0 then
  local recs, taken = call('MGET', unpack(keys)), 0
  for i = 1, #keys do
    local key, rec = keys[i], recs[i]
    if bytes >= most then break end
    used = i
    -- The record decides, an entry is a hint: cancelled, deleted and retried tasks leave ghosts behind.
    local fits = rec and not seen[key]
    if fits and handlers then
      fits = byte(rec, 3) == 112 and sub(rec, 33, 40) == NOBODY
    elseif fits then
      fits = byte(rec, 2) == 80
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
      keep(key, new)
      flight[2 * taken - 1] = key
      flight[2 * taken] = take
      answer[4 + taken] = new                    -- as it is: one string of all records would be one more copy
      bytes = bytes + #new
    end
  end
end
if #flight > 0 then
  answer[4] = table.concat(flight)
  call('HSET', P .. 'flight:' .. worker, ARGV[7], answer[4])
end
if used > 0 then
  if not handlers then count(type, 'taken', used) end
  commit(function() call('LTRIM', queue, used, -1) end)
end
local left, calls = call('LLEN', P .. 'q:' .. type), call('LLEN', P .. 'hq:' .. type)
if left > 0 then wake('wake:' .. type) end
if calls > 0 then wake('hwake:' .. type) end
answer[2], answer[3] = left, calls
return answer
