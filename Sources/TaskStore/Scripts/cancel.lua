#!lua flags=allow-oom
-- A user wants a task stopped.
-- KEYS: 1 the record. ARGV: 1 prefix.
-- Returns nil if there is no such task, else {1 cancelled at once, 2 asked for, 0 it is final; status afterwards}.
local key = KEYS[1]
local rec = call('GET', key)
if not rec then return nil end
local state, type = byte(rec, 2), type_of(rec)
if FINAL[state] then return { 0, SHOWN[state] } end
if not ACTIVE[state] then
  -- Its entry is a ghost from now on. The newest one can go, so that a queue from which nothing is taken does not grow.
  local queue = P .. queue_of(rec) .. ':' .. type
  local is_newest = state == 80 and call('LINDEX', queue, -1) == key
  cancelled(key, rec, type)
  commit(function() if is_newest then call('LTRIM', queue, 0, -2) end end)
  return { 1, 'CANCELLED' }
end
if not flag(rec, CANCEL) then
  if state == 84 then outdate(holder_of(rec)) end
  local asked = with_flag(rec, CANCEL)
  keep(key, sub(asked, 1, 84) .. now6 .. sub(asked, 91))
end
commit()
-- The worker that has it listens to this list; a message that waits already says enough.
local messages = P .. 'ctl:' .. holder_of(rec)
if call('LPOS', messages, id_of(key)) == false then call('RPUSH', messages, id_of(key)) end
return { 2, SHOWN[state] }
