#!lua flags=allow-oom
-- An outsider finishes a detached task.
-- KEYS: 1 the record.
-- ARGV: 1 prefix, 2 state 'C', 'F' or 'X', 3 result or error, 4 '1' if the result stands in a key of its own.
-- Returns {'' or the state met when the task is not detached, its status afterwards}; nil if there is no such task.
local key, state, body = KEYS[1], ARGV[2], ARGV[3]
local rec = call('GET', key)
if not rec then return nil end
if byte(rec, 2) ~= 68 then return { sub(rec, 2, 2), SHOWN[byte(rec, 2)] } end
local type = type_of(rec)
local block = block_for(rec, body)
if ARGV[4] == '1' then
  block = char(bit.bor(byte(block), 2)) .. sub(block, 2)
  keep_body(result_key(key, body))
end
finish(key, rec, type, state, phase_for(type, state), state == 'F' and '1' or '0', block, body, false)
commit()
return { '', SHOWN[byte(state)] }
