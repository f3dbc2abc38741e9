#!lua flags=allow-oom
-- A host makes itself and its types known.
-- ARGV: 1 prefix, 2 host, 3 JSON about the host, 4... pairs of type and JSON about the type.
-- Returns {time in ms, the newest record format in use, JSON of the hosts that live}.
local newest = tonumber(call('GET', P .. 'format') or '1')
if newest > 1 then return { now, newest, {} } end
local hosts = call('HVALS', P .. 'hosts')
for i = 4, #ARGV, 2 do
  call('HSET', P .. 'types', ARGV[i], ARGV[i + 1])
  call('ZADD', P .. 'seen', now, ARGV[i])
end
call('SET', P .. 'format', 1)
call('HSET', P .. 'hosts', ARGV[2], ARGV[3])
call('HINCRBY', P .. 'beats', ARGV[2], 1)
call('HSETNX', P .. 'submits', ARGV[2], 0)               -- a late repeat does not open numbers that were used
return { now, newest, hosts }
