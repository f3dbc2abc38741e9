#!lua
-- A user lets a failed or cancelled task start anew.
-- KEYS: 1 the record. ARGV: 1 prefix.
-- Returns nil if there is no such task, else {1 done, 0 its status forbids it, -1 its handler call is pending; status}.
local key = KEYS[1]
local rec = call('GET', key)
if not rec then return nil end
local state = byte(rec, 2)
if state ~= 70 and state ~= 88 then return { 0, SHOWN[state] } end
if byte(rec, 3) == 112 then return { -1, SHOWN[state] } end
local type = type_of(rec)
-- The take number stays, so that no command of an earlier life fits; the count of manual retries outdates the finished entry.
local new = '1P-0' .. char(bit.band(byte(rec, 5), 1)) .. '\0' .. pack('<I2', 0) .. sub(rec, 9, 10) .. pack('<I2', 0)
  .. sub(rec, 13, 16) .. pack('<I4', 0) .. NEVER .. NEVER .. NOBODY .. sub(rec, 41, 44)
  .. pack('<I4', unpack_('<I4', rec, 45) + 1) .. char(bit.band(byte(rec, 49), 255 - CANCEL - PROGRESS)) .. sub(rec, 50, 52)
  .. pack('<I2I2I4', 0, 0, 0) .. sub(rec, 61, 84) .. NEVER .. sub(rec, 91, body_end(rec))
add(pushes, 'q', type, key)
if flag(rec, PROGRESS) then deletes[1] = P .. 'g:' .. id_of(key) end
woken['wake:' .. type] = true
write(key, type, state, 'PENDING', new)
commit()
return { 1, 'PENDING' }
