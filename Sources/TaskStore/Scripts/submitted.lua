#!lua flags=allow-oom
-- Ends the transaction that stores plain tasks (waiting, of normal priority, without key and expiry): it has made their records, large params and a
-- mark in one MSETNX and put them into their queues. Here they are counted, and the call is remembered; or they go again.
-- It stands alone: what other scripts stand behind costs more than all this.
-- ARGV: 1 prefix, 2 host, 3 number of this call (each host counts its own), then three for each type: type, how many tasks, the
--       record key that was pushed last.
-- Returns what submit returns. An error if something is missing: Redis goes on with a transaction when a command of it failed.
local P, host, number, call = ARGV[1], ARGV[2], ARGV[3], redis.call
local stored = call('DEL', P .. 'new:' .. host .. ':' .. number) == 1
local last = call('HGET', P .. 'submits', host)
local done, said = string.match(last or '', '^(%d+) ?(.*)$')
if not last or tonumber(number) <= tonumber(done) then
  -- The host was forgotten, or this comes after its own repeat.
  for i = 4, stored and #ARGV or 0, 3 do
    local queue = P .. 'q:' .. ARGV[i]
    local keys = call('LRANGE', queue, -ARGV[i + 1], -1)
    if keys[#keys] == ARGV[i + 2] then
      local gone = {}
      for at, key in ipairs(keys) do gone[2 * at - 1], gone[2 * at] = key, P .. 'p:' .. string.sub(key, -32) end
      call('DEL', unpack(gone))
      call('LTRIM', queue, 0, -ARGV[i + 1] - 1)
    end
  end
  return last and { said }
end
if not stored then return redis.error_reply('NOTSTORED records of the call were there already') end
for i = 4, #ARGV, 3 do
  if call('LINDEX', P .. 'q:' .. ARGV[i], -1) ~= ARGV[i + 2] then
    return redis.error_reply('NOTQUEUED ' .. ARGV[i])
  end
end
local answer = { '' }
for i = 4, #ARGV, 3 do
  local type, wake = ARGV[i], P .. 'wake:' .. ARGV[i]
  answer[#answer + 1] = type
  answer[#answer + 1] = call('HINCRBY', P .. 'n:' .. type, 'PENDING', ARGV[i + 1])
  answer[#answer + 1] = -1
  if call('LLEN', wake) == 0 then call('RPUSH', wake, '1') end
end
call('HSET', P .. 'submits', host, number)
return answer
