#!lua flags=allow-oom
-- Takes the lease of a worker that is gone, or of a host, and gives back what it held, one batch a call.
-- ARGV: 1 prefix, 2 worker or host, 3 its 8 bytes, 4 the heartbeat count seen ('' when it is known to be dead).
-- Returns the batches left: call again until it is 0; -1 if it lives.
local worker = ARGV[2]
if ARGV[4] ~= '' and call('HGET', P .. 'beats', worker) ~= ARGV[4] then return -1 end
-- From here on every command of the worker is refused. The entry goes last: whoever sees it goes on where another stopped.
if call('HEXISTS', P .. 'leases', worker) == 1 then call('HSET', P .. 'leases', worker, 'taken') end
local batches = call('HKEYS', P .. 'flight:' .. worker)
if #batches > 0 then
  each_in_flight(call('HGET', P .. 'flight:' .. worker, batches[1]), ARGV[3], give_back)
  commit(function() call('HDEL', P .. 'flight:' .. worker, batches[1]) end)
end
if #batches <= 1 then
  call('HDEL', P .. 'hosts', worker)
  call('HDEL', P .. 'submits', worker)
  call('HDEL', P .. 'leases', worker)
  call('HDEL', P .. 'beats', worker)
  call('DEL', P .. 'ctl:' .. worker)
  return 0
end
return #batches - 1
