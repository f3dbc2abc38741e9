#!lua flags=allow-oom
-- All that a host does periodically, in one call: it says that its workers live, moves what is due, and looks after tokens.
-- ARGV: 1 prefix, 2 host, 3 how many tasks to move at most, 4 number of types, then the types,
--       then for each worker four: worker, its 8 bytes, its last batch answered or given up, the batches it holds.
-- Returns {time in ms, workers without a lease (between spaces), finished lists to look at: type, oldest finishedAt and
--         number of completed, the same of failed and cancelled..., HGETALL of beats, 1 if the host is known,
--         1 if more is due}.
local host, most, types = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local lost, beating, gone, finished, away = {}, {}, {}, {}, {}
for i = 5 + types, #ARGV, 4 do
  local worker, epoch = ARGV[i], call('HGET', P .. 'leases', ARGV[i])
  if epoch and tonumber(epoch) then
    beating[#beating + 1] = worker
    local held = {}
    for number in string.gmatch(ARGV[i + 3], '%S+') do held[number] = true end
    local batches
    batches, most = compare(worker, ARGV[i + 1], tonumber(ARGV[i + 2]), held, most)
    if #batches > 0 then gone[worker] = batches end
  else
    lost[#lost + 1] = worker
  end
end

local function due(kind, type, visit)
  local keys = call('ZRANGEBYSCORE', P .. kind .. ':' .. type, '-inf', now, 'LIMIT', 0, most)
  if #keys == 0 then return end
  local recs = call('MGET', unpack(keys))
  for i = 1, #keys do
    add(zrems, kind, type, keys[i])
    if recs[i] then visit(keys[i], recs[i]) end
  end
  most = most - #keys
end
local LATE = '{"kind":"timeout","message":"nobody finished the detached task before its deadline","retryable":true}'
for i = 5, 4 + types do
  local type = ARGV[i]
  if most > 0 then
    due('due', type, function(key, rec)
      if byte(rec, 2) == 83 then
        add(pushes, 'q', type, key)
        woken['wake:' .. type] = true
        write(key, type, 83, 'PENDING', '1P' .. sub(rec, 3))
      end
    end)
    due('hdue', type, function(key, rec)
      if byte(rec, 3) == 112 and sub(rec, 33, 40) == NOBODY then to_handler_queue(key, rec, type) end
    end)
    due('away', type, function(key, rec)
      if byte(rec, 2) == 68 then
        local info = call('HGET', P .. 'types', type)
        local phase = info and cjson.decode(info).exceptionHandler and 'p' or '-'
        finish(key, rec, type, 'F', phase, '2', block_for(rec, LATE), LATE, false)
      end
    end)
  end
  -- A worker that died with the token in its hand must not leave the queue asleep.
  if call('LLEN', P .. 'q:' .. type) > 0 then woken['wake:' .. type] = true end
  if call('LLEN', P .. 'hq:' .. type) > 0 then woken['hwake:' .. type] = true end
  finished[#finished + 1] = type
  for _, name in ipairs({ 'done', 'dead' }) do
    local oldest = call('LINDEX', P .. name .. ':' .. type, 0)
    local at = oldest and call('GETRANGE', P .. 't:' .. sub(oldest, 1, 32), 26, 31) or ''
    finished[#finished + 1] = #at == 6 and unpack_('<I6', at) or 0
    finished[#finished + 1] = kept(type, name)
  end
end
local known = call('HEXISTS', P .. 'hosts', host)
commit(function()
  for worker, batches in pairs(gone) do call('HDEL', P .. 'flight:' .. worker, unpack(batches)) end
end)
for _, worker in ipairs(beating) do call('HINCRBY', P .. 'beats', worker, 1) end
if known == 1 then
  call('HINCRBY', P .. 'beats', host, 1)
  for i = 5, 4 + types do
    if now - tonumber(call('ZSCORE', P .. 'seen', ARGV[i]) or '0') > 60000 then call('ZADD', P .. 'seen', now, ARGV[i]) end
  end
end
return { now, table.concat(lost, ' '), finished, call('HGETALL', P .. 'beats'), known, most <= 0 and 1 or 0 }
