#!lua
-- Stores new tasks.
-- KEYS: the record key of each task.
-- ARGV: 1 prefix, 2 host, 3 number of this call (each host counts its own), 4 types whose capacity is to be looked at, each
--       with it, as in 'TYPE 100 TYPE 5000', 5... the record of each task, waiting or scheduled.
-- Returns nil if Redis does not know the host (any more), else {a word for each task or '' if all were stored, then for each
--         type that got any: type, PENDING and SCHEDULED tasks it has now, -1 where that is not known}. The words, between
--         spaces: s stored, f refused because the type is full, or for a key that is taken the id of the task that has it
--         and its state. A repeat of the host's last call gets the same words and writes nothing.
local host, number = ARGV[2], tonumber(ARGV[3])
local last = call('HGET', P .. 'submits', host)
if not last then return nil end
local done, said = string.match(last, '^(%d+) ?(.*)$')
if number <= tonumber(done) then return { said } end

local room, tallies = {}, {}
for type, capacity in string.gmatch(ARGV[4], '(%S+) (%S+)') do
  local sums = tally(type)
  room[type], tallies[type] = tonumber(capacity) - sums.PENDING - sums.SCHEDULED, sums
end

-- Who has the keys that are asked for; the first of this call that asks gets one that is free.
local claimed = {}
local function owner_of(claim, type)
  local id = call('GET', claim)
  local rec = id and call('GET', P .. 't:' .. id)
  return holds_key(rec, type) and { id, sub(rec, 2, 2) }
end
local function refusal(i, rec, type)
  local claim = flag(rec, KEYED) and claim_key(rec, type)
  if claim then
    local owner = claimed[claim]
    if owner == nil then owner = owner_of(claim, type) end
    -- Its own: a call that failed half-way comes again.
    if owner and owner[1] ~= id_of(KEYS[i]) then return owner[1] .. owner[2] end
  end
  local left = room[type]
  if left and left <= 0 then return 'f' end
  if left then room[type] = left - 1 end
  if claim then
    claimed[claim] = { id_of(KEYS[i]), sub(rec, 2, 2) }
    claims[#claims + 1] = claim
    claims[#claims + 1] = id_of(KEYS[i])
  end
end

local fresh, words, plain, are_all = {}, {}, {}, true
for i = 1, #KEYS do
  local key, rec = KEYS[i], ARGV[i + 4]
  local type, state, flags = type_of(rec), byte(rec, 2), byte(rec, 49)
  local why = (flags >= KEYED or room[type]) and refusal(i, rec, type)
  words[i] = why or 's'
  if why then
    are_all = false
    if bit.band(byte(rec, 5), 1) ~= 0 then deletes[#deletes + 1] = params_key(key) end
  else
    if bit.band(byte(rec, 5), 1) ~= 0 then keep_body(params_key(key)) end
    if state == 83 then
      add(zadds, 'due', type, (unpack_('<I6', rec, 73)))
      add(zadds, 'due', type, key)
      count(type, 'SCHEDULED', 1)
    elseif byte(rec, 50) == 110 then
      add(pushes, 'q', type, key)
      plain[type] = (plain[type] or 0) + 1
    else
      enqueue(key, rec, type)
      count(type, 'PENDING', 1)
    end
    if flags >= EXPIRES then
      add(zadds, 'exp', type, extras_of(rec).expires)
      add(zadds, 'exp', type, key)
    end
    fresh[#fresh + 1] = key
    fresh[#fresh + 1] = rec
  end
end
for type, number_of in pairs(plain) do
  count(type, 'PENDING', number_of)
  woken['wake:' .. type] = true
end
-- A call that failed half-way and comes again must not put back what workers have changed since: only what is missing.
commit(function()
  if #fresh > 0 and call('MSETNX', unpack(fresh)) == 0 then
    for i = 1, #fresh, 2 do
      local rec = fresh[i + 1]
      if call('SETNX', fresh[i], rec) == 0 then count(type_of(rec), SHOWN[byte(rec, 2)], -1) end
    end
  end
end)
local answer = { are_all and '' or table.concat(words, ' ') }
for type, fields in pairs(counts) do
  answer[#answer + 1] = type
  local sums = tallies[type] or {}
  answer[#answer + 1] = fields.PENDING or sums.PENDING or -1
  answer[#answer + 1] = fields.SCHEDULED or sums.SCHEDULED or -1
end
call('HSET', P .. 'submits', host, are_all and number or number .. ' ' .. answer[1])
return answer
