#!lua flags=allow-oom
-- A user removes a final task with all that belongs to it; a pending handler call is dropped.
-- KEYS: 1 the record. ARGV: 1 prefix.
-- Returns nil if there is no such task, else {1 done, 0 it is not final; its status}.
local key = KEYS[1]
local rec = call('GET', key)
if not rec then return nil end
local state = byte(rec, 2)
if not FINAL[state] then return { 0, SHOWN[state] } end
forget(key, rec)
count(type_of(rec), SHOWN[state], -1)
commit()
return { 1, SHOWN[state] }
