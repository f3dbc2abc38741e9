#!lua flags=allow-oom
-- A user removes final tasks with all that belongs to them; a pending handler call is dropped.
-- KEYS: the records. ARGV: 1 prefix, 2 the error kind that they must have ('' any).
-- Returns two letters for each: d done, n there is none, s its status or error forbids it; and its state.
local recs, answers, seen = call('MGET', unpack(KEYS)), {}, {}
for i = 1, #KEYS do
  local key, rec = KEYS[i], not seen[KEYS[i]] and recs[i]
  local state = rec and byte(rec, 2)
  if not rec then
    answers[i] = 'nP'
  elseif FINAL[state] and (ARGV[2] == '' or state == 70 and sub(rec, 4, 4) == ARGV[2]) then
    forget(key, rec)
    count(type_of(rec), SHOWN[state], -1)
    seen[key] = true
    answers[i] = 'd' .. char(state)
  else
    answers[i] = 's' .. char(state)
  end
end
commit()
return table.concat(answers)
