#!lua flags=allow-oom
-- Asks for a message when tasks become final: their ids come on the channel `final`.
-- KEYS: the records. ARGV: 1 prefix.
-- Returns for each record 1 if it is final or gone (no message will come), else 0.
local recs, records, holders, answers = call('MGET', unpack(KEYS)), {}, {}, {}
for i = 1, #KEYS do
  local rec = recs[i]
  answers[i] = (not rec or FINAL[byte(rec, 2)]) and 1 or 0
  if answers[i] == 0 and not flag(rec, WATCHED) then
    if byte(rec, 2) == 84 then holders[holder_of(rec)] = true end
    records[#records + 1] = KEYS[i]
    records[#records + 1] = with_flag(rec, WATCHED)
  end
end
-- The fence first: a worker that completes without a look at the record must see that it changed.
for worker in pairs(holders) do call('INCR', P .. 'fence:' .. worker) end
if #records > 0 then call('MSET', unpack(records)) end
return answers
