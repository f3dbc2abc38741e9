#!lua
-- A user wants the handler of a final task called again.
-- KEYS: 1 the record. ARGV: 1 prefix.
-- Returns nil if there is no such task, else {1 done, 0 its status forbids it, -1 it is to be called anyway, -2 its type has
--         none; status}.
local key = KEYS[1]
local rec = call('GET', key)
if not rec then return nil end
local state = byte(rec, 2)
if state ~= 67 and state ~= 70 then return { 0, SHOWN[state] } end
if byte(rec, 3) == 112 then return { -1, SHOWN[state] } end
local type = type_of(rec)
if phase_for(type, char(state)) ~= 'p' then return { -2, SHOWN[state] } end
to_handler_queue(key, sub(rec, 1, 2) .. 'p' .. sub(rec, 4, 10) .. pack('<I2', 0) .. sub(rec, 13), type)
commit()
return { 1, SHOWN[state] }
