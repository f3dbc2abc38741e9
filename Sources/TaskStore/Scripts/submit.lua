#!lua
-- Stores new tasks.
-- KEYS: the record key of each task.
-- ARGV: 1 prefix, 2 host, 3 number of this call (each host counts its own), 4... the record of each task.
-- Returns 1, also for a repeat of the host's last call, which writes nothing; 0 if Redis does not know the host (any more).
local host, number = ARGV[2], tonumber(ARGV[3])
local last = call('HGET', P .. 'submits', host)
if not last then return 0 end
if number <= tonumber(last) then return 1 end

local fresh = {}
for i = 1, #KEYS do
  local key, rec = KEYS[i], ARGV[i + 3]
  if bit.band(byte(rec, 5), 1) ~= 0 then keep_body(params_key(key)) end
  add(pushes, 'q', type_of(rec), key)
  fresh[2 * i - 1] = key
  fresh[2 * i] = rec
end
for type, keys in pairs(pushes.q) do
  count(type, 'PENDING', #keys)
  woken['wake:' .. type] = true
end
-- A call that failed half-way and comes again must not put back what workers have changed since: only what is missing.
commit(function()
  if call('MSETNX', unpack(fresh)) == 0 then
    for i = 1, #fresh, 2 do
      if call('SETNX', fresh[i], fresh[i + 1]) == 0 then count(type_of(fresh[i + 1]), 'PENDING', -1) end
    end
  end
end)
call('HSET', P .. 'submits', host, number)
return 1
