#!lua flags=allow-oom
-- Asks for a message when tasks become final: their ids come on the channel `final`.
-- KEYS: the records. ARGV: 1 prefix.
-- Returns for each record 1 if it is final or gone (no message will come), else 0.
local recs, answers = call('MGET', unpack(KEYS)), {}
for i = 1, #KEYS do
  local rec = recs[i]
  answers[i] = (not rec or FINAL[byte(rec, 2)]) and 1 or 0
  if answers[i] == 0 and not flag(rec, WATCHED) then
    if byte(rec, 2) == 84 then outdate(holder_of(rec)) end
    keep(KEYS[i], with_flag(rec, WATCHED))
  end
end
commit()
return answers
