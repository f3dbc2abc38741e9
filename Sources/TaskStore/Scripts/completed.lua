#!lua flags=allow-oom
-- Counts the tasks that a transaction of their worker has completed beside it, and removes batches.
-- Every batch of plain tasks ends here, so it stands alone: what other scripts stand behind costs more than all this.
-- ARGV: 1 prefix, 2 worker, 3 batches that are empty (numbers between spaces), then two for each type: type, how many.
-- Returns 1.
local P, call = ARGV[1], redis.call
local empty = {}
for number in string.gmatch(ARGV[3], '%S+') do empty[#empty + 1] = number end
if #empty > 0 then call('HDEL', P .. 'flight:' .. ARGV[2], unpack(empty)) end
for i = 4, #ARGV, 2 do
  call('HINCRBY', P .. 'n:' .. ARGV[i], 'PENDING', '-' .. ARGV[i + 1])
  call('HINCRBY', P .. 'n:' .. ARGV[i], 'COMPLETED', ARGV[i + 1])
end
return 1
