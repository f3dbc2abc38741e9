#!lua
-- A user lets failed and cancelled tasks start anew.
-- KEYS: the records. ARGV: 1 prefix, 2 the error kind that they must have ('' any).
-- Returns two letters for each: d done, n there is none, s its status or error forbids it, h its handler call is pending,
--         k another task has its key; and its state before.
local claimed = {}
local function takes_back_key(key, rec, type)
  local claim = claim_key(rec, type)
  local id = claimed[claim] or call('GET', claim)
  if id and id ~= id_of(key) and (claimed[claim] or holds_key(call('GET', P .. 't:' .. id), type)) then return false end
  claimed[claim] = id_of(key)
  claims[#claims + 1] = claim
  claims[#claims + 1] = id_of(key)
  return true
end
local function revive(key, rec)
  local state, type = byte(rec, 2), type_of(rec)
  if state ~= 70 and state ~= 88 or ARGV[2] ~= '' and (state ~= 70 or sub(rec, 4, 4) ~= ARGV[2]) then return 's' end
  if byte(rec, 3) == 112 then return 'h' end
  if flag(rec, KEYED) and not takes_back_key(key, rec, type) then return 'k' end
  if flag(rec, PROGRESS) then deletes[#deletes + 1] = P .. 'g:' .. id_of(key) end
  -- The take number stays, so that no command of an earlier life fits; the count of manual retries outdates the finished entry.
  local flags = bit.band(byte(rec, 49), LOGGED + KEYED + WATCHED)
  local new = '1P-0' .. char(bit.band(byte(rec, 5), 1)) .. '\0' .. pack('<I2', 0) .. sub(rec, 9, 10)
    .. pack('<I2', 0) .. sub(rec, 13, 16) .. pack('<I4', 0) .. NEVER .. NEVER .. NOBODY .. sub(rec, 41, 44)
    .. pack('<I4', unpack_('<I4', rec, 45) + 1) .. char(flags) .. sub(rec, 50, 52) .. pack('<I2I2I4', 0, 0, 0)
    .. sub(rec, 61, 72) .. NEVER .. NEVER .. NEVER .. sub(rec, 91, body_end(rec))
  enqueue(key, new, type)
  write(key, type, state, 'PENDING', new)
  return 'd'
end
local recs, answers, seen = call('MGET', unpack(KEYS)), {}, {}
for i = 1, #KEYS do
  local key, rec = KEYS[i], recs[i]
  answers[i] = not rec and 'nP' or (seen[key] and 's' or revive(key, rec)) .. sub(rec, 2, 2)
  seen[key] = true
end
commit()
return table.concat(answers)
