#!lua flags=allow-oom
-- All that a host does periodically, in one call: it says that its workers live, moves what is due, and looks after tokens.
-- ARGV: 1 prefix, 2 host, 3 how many tasks to move at most, 4 the latest time in ms that the clock is believed (after it nothing
--       expires and no deadline passes), 5 number of types, then the types,
--       then for each worker four: worker, its 8 bytes, its last batch answered or given up, the batches it holds.
-- Returns {time in ms, workers without a lease (between spaces), for each type: type, PENDING, SCHEDULED, then of completed
--         and of failed and cancelled ones each the oldest finishedAt (0: its entry stands for nothing any more, -1: there is
--         none) and how many there are, and how many wait to run alone; HGETALL of beats, 1 if the host is known, 1 if more
--         is due, when the next is due or 0}.
local host, most, is_trusted, last_type = ARGV[2], tonumber(ARGV[3]), now <= tonumber(ARGV[4]), 5 + tonumber(ARGV[5])
local lost, beating, gone, finished = {}, {}, {}, {}
for i = last_type + 1, #ARGV, 4 do
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

-- What was given back just now is not as it will be read below.
local moved = {}
for i = 1, #records, 2 do moved[records[i]] = true end
local next_due = 0
-- Whether the entry at the place is due; if not, it may be the one that is due next.
local function is_due(set, place)
  local at = tonumber(call('ZRANGE', set, place, place, 'WITHSCORES')[2])
  if at and at > now and (next_due == 0 or at < next_due) then next_due = at end
  return at and at <= now
end
local function due(kind, type, visit)
  if not is_trusted and (kind == 'exp' or kind == 'away') then return end
  local set = P .. kind .. ':' .. type
  if not is_due(set, 0) or most <= 0 then return end
  local keys = call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, most)
  local recs = call('MGET', unpack(keys))
  for i = 1, #keys do
    if not moved[keys[i]] then
      add(zrems, kind, type, keys[i])
      if recs[i] then visit(keys[i], recs[i]) end
    end
  end
  most = most - #keys
  is_due(set, #keys)
end
local fields = call('HGETALL', P .. 'control')
local controls = {}
for i = 1, #fields, 2 do controls[fields[i]] = true end
-- Where nothing is taken, cancelled tasks would leave more and more entries behind. Those at the old end can go.
local ghosts = {}
local function trim_ghosts(type)
  for _, name in ipairs({ 'q', 'qh', 'ql', 'sq' }) do
    local queue, number = P .. name .. ':' .. type, 0
    -- What is given back in this call comes before them.
    local keys = fronts[name] and fronts[name][type] and {} or call('LRANGE', queue, 0, 255)
    local recs = #keys > 0 and call('MGET', unpack(keys)) or {}
    local function is_ghost(rec) return not rec or byte(rec, 2) ~= 80 or flag(rec, ALONE) ~= (name == 'sq') end
    while number < #keys and is_ghost(recs[number + 1]) do number = number + 1 end
    if number > 0 then
      ghosts[queue] = number
      count(type, LEFT[name], number)
      most = most - number
    end
  end
end
local seen = {}
local LATE = '{"kind":"timeout","message":"nobody finished the detached task before its deadline","retryable":false}'
for i = 6, last_type do
  local type = ARGV[i]
  -- What expires comes first: it is not to be started any more. One that a worker has is seen to when it comes back.
  due('exp', type, function(key, rec)
    if (byte(rec, 2) == 80 or byte(rec, 2) == 83) and is_expired(rec) then
      expired(key, rec, type)
      seen[key] = true
    end
  end)
  due('due', type, function(key, rec)
    if byte(rec, 2) == 83 and not seen[key] then
      enqueue(key, rec, type)
      write(key, type, 83, 'PENDING', '1P' .. sub(rec, 3))
    end
  end)
  due('hdue', type, function(key, rec)
    if byte(rec, 3) == 112 and sub(rec, 33, 40) == NOBODY then to_handler_queue(key, rec, type) end
  end)
  due('away', type, function(key, rec)
    if byte(rec, 2) == 68 then
      finish(key, rec, type, 'F', phase_for(type, 'F'), '2', block_for(rec, LATE), LATE, false)
    end
  end)
  -- A worker that died with the token in its hand must not leave the queue asleep.
  local length, sums = waiting(type, controls['mixed:' .. type]), tally(type)
  local alone = call('LLEN', P .. 'sq:' .. type)
  if not controls['paused:' .. type] then
    if length > 0 then woken['wake:' .. type] = true end
    if alone > 0 then woken['swake:' .. type] = true end
  end
  if length + alone > sums.PENDING + 256 then trim_ghosts(type) end
  if call('LLEN', P .. 'hq:' .. type) > 0 then woken['hwake:' .. type] = true end
  finished[#finished + 1] = type
  finished[#finished + 1] = sums.PENDING
  finished[#finished + 1] = sums.SCHEDULED
  for _, name in ipairs({ 'done', 'dead' }) do
    local oldest = call('LINDEX', P .. name .. ':' .. type, 0)
    local at = oldest and call('GETRANGE', P .. 't:' .. sub(oldest, 1, 32), 26, 31) or ''
    finished[#finished + 1] = not oldest and -1 or #at == 6 and unpack_('<I6', at) or 0
    finished[#finished + 1] = math.min(call('LLEN', P .. name .. ':' .. type), kept(name, sums))
  end
  -- With those that come there in this call.
  finished[#finished + 1] = alone + #(pushes.sq and pushes.sq[type] or {})
end
local known = call('HEXISTS', P .. 'hosts', host)
commit(function()
  for queue, number in pairs(ghosts) do call('LTRIM', queue, number, -1) end
  for worker, batches in pairs(gone) do call('HDEL', P .. 'flight:' .. worker, unpack(batches)) end
end)
for _, worker in ipairs(beating) do call('HINCRBY', P .. 'beats', worker, 1) end
if known == 1 then
  call('HINCRBY', P .. 'beats', host, 1)
  for i = 6, last_type do
    if now - tonumber(call('ZSCORE', P .. 'seen', ARGV[i]) or '0') > 60000 then call('ZADD', P .. 'seen', now, ARGV[i]) end
  end
end
return { now, table.concat(lost, ' '), finished, call('HGETALL', P .. 'beats'), known, most <= 0 and 1 or 0, next_due }
