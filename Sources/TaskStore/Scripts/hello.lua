#!lua flags=allow-oom
-- The first command of each connection of a worker. The very first one (epoch 1) makes the worker's lease.
-- ARGV: 1 prefix, 2 worker, 3 its 8 bytes, 4 epoch, 5 number of the last batch answered or given up,
--       6 the batches up to it that the worker still holds (numbers between spaces), 7... its origins: for each plugin
--       JSON that says which worker and which build runs its tasks.
-- Returns nil if the worker has no lease (it must end), else {time in ms, a number for each origin}.
local worker, epoch = ARGV[2], tonumber(ARGV[4])
local current = call('HGET', P .. 'leases', worker)
if not current and epoch > 1 or current and not (tonumber(current) and tonumber(current) < epoch) then return nil end
local held = {}
for number in string.gmatch(ARGV[6], '%S+') do held[number] = true end
local gone = current and compare(worker, ARGV[3], tonumber(ARGV[5]), held, 256) or {}
-- A transaction of an older connection that comes late is refused, too.
outdate(worker)
local origins, answer = {}, { now }
for i = 7, #ARGV do origins[i] = call('HGET', P .. 'origins', ARGV[i]) or false end
commit(function() if #gone > 0 then call('HDEL', P .. 'flight:' .. worker, unpack(gone)) end end)
for i = 7, #ARGV do
  local number = origins[i]
  if not number then
    number = call('HINCRBY', P .. 'n', 'origins', 1)
    call('HSET', P .. 'origins:text', number, ARGV[i])
    call('HSET', P .. 'origins', ARGV[i], number)
  end
  answer[#answer + 1] = tonumber(number)
end
call('HINCRBY', P .. 'beats', worker, 1)             -- a count that was seen once must not come again
call('HSET', P .. 'leases', worker, epoch)
return answer
