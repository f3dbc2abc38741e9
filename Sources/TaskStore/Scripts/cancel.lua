#!lua flags=allow-oom
-- A user wants a task stopped.
-- KEYS: 1 the record. ARGV: 1 prefix.
-- Returns nil if there is no such task, else {1 cancelled at once, 2 asked for, 0 it is final; status afterwards}.
local key = KEYS[1]
local rec = call('GET', key)
if not rec then return nil end
local state = byte(rec, 2)
if FINAL[state] then return { 0, SHOWN[state] } end
if not ACTIVE[state] then
  cancelled(key, rec, type_of(rec))
  commit()
  return { 1, 'CANCELLED' }
end
if not flag(rec, CANCEL) then
  rec = sub(rec, 1, 48) .. char(bit.bor(byte(rec, 49), CANCEL)) .. sub(rec, 50, 84) .. now6 .. sub(rec, 91)
  call('SET', key, rec)
end
-- The worker that has it listens to this list; a message that waits already says enough.
local messages = P .. 'ctl:' .. string.gsub(sub(rec, 33, 40), '.', function(c) return string.format('%02x', byte(c)) end)
if call('LPOS', messages, id_of(key)) == false then call('RPUSH', messages, id_of(key)) end
return { 2, SHOWN[state] }
