#!lua
-- Stores the task of a schedule, once for each due time however many hosts ask for it.
-- KEYS: the record key of the task (the same for all hosts), or none to make the schedule known.
-- ARGV: 1 prefix, 2 field of the schedule in the hash `schedules`, 3 time in ms: due, or known from, 4 the record,
--       5 how many tasks of the type may wait.
-- The field holds the due time that was dealt with last, and behind a space that of the last task that was stored.
-- Returns {1 stored, 0 done already, -1 the type is full; the last due time that is dealt with}.
local field, due = ARGV[2], tonumber(ARGV[3])
local last, stored = string.match(call('HGET', P .. 'schedules', field) or '', '^(%d+) ?(%d*)$')
if #KEYS == 0 then
  if not last then call('HSET', P .. 'schedules', field, ARGV[3]) end
  return { 0, tonumber(last or due) }
end
if last and tonumber(last) >= due then return { 0, tonumber(last) } end
local key, rec = KEYS[1], ARGV[4]
local type, answer = type_of(rec), 1
local sums = tally(type)
if sums.PENDING + sums.SCHEDULED >= tonumber(ARGV[5]) then
  answer = -1
else
  if bit.band(byte(rec, 5), 1) ~= 0 then keep_body(params_key(key)) end
  enqueue(key, rec, type)
  count(type, 'PENDING', 1)
  -- A call that failed half-way comes again, from this host or another.
  commit(function()
    if call('SETNX', key, rec) == 0 then count(type, 'PENDING', -1) end
  end)
  stored = ARGV[3]
end
call('HSET', P .. 'schedules', field, ARGV[3] .. ' ' .. (stored or ''))
return { answer, due }
