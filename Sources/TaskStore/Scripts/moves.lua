-- The moves a task can make, and one place that writes them; behind record.lua.
--
-- Redis does not roll a script back, so a script reads, decides (the functions below only note what is to be written) and
-- then writes once, in commit(): new places, records, old places, counters, wake tokens. Whatever fails on the way, every
-- task can be found by some script (docs/store.md).

local now6 = pack('<I6', now)
local SHOWN = { [80] = 'PENDING', [84] = 'PENDING', [82] = 'IN_PROGRESS', [68] = 'IN_PROGRESS', [83] = 'SCHEDULED',
  [67] = 'COMPLETED', [70] = 'FAILED', [88] = 'CANCELLED' }
local ACTIVE = { [84] = true, [82] = true }

local function type_of(rec) return sub(rec, HEADER + 1, HEADER + byte(rec, 51)) end
-- What few tasks have: trace, key, timeout, expires.
local function extras_of(rec)
  local from = HEADER + byte(rec, 51)
  return cjson.decode(sub(rec, from + 1, from + unpack_('<I2', rec, 65)))
end

-- Types as their hosts made them known; read only for what few tasks have.
local infos = {}
local function info_of(type)
  local info = infos[type]
  if not info then
    local json = call('HGET', P .. 'types', type)
    info = json and cjson.decode(json) or {}
    infos[type] = info
  end
  return info
end
-- The handler phase of a task that ends in the state.
local function phase_for(type, state)
  local info = info_of(type)
  return (state == 'C' and info.callback or state == 'F' and info.exceptionHandler) and 'p' or '-'
end

-- What is to be written. A string that Lua makes costs as much as its length, so nothing here is made for each task that
-- can be made once: places are noted by kind and type, and their keys are made in commit().
local pushes, fronts, zadds, zrems, records, deletes, persists, counts, woken, told = {}, {}, {}, {}, {}, {}, {}, {}, {}, {}
local claims, mixed, logs = {}, {}, {}

-- A worker completes plain tasks without a script that looks at them, as long as `fence:WORKER` stands at what it was when it took them. So
-- whoever else changes a record that a worker has taken says so here: its fence changes first.
local outdated = {}
local function outdate(worker) outdated[worker] = true end

local function add(places, kind, type, value)
  local types = places[kind]
  if not types then types = {} places[kind] = types end
  local list = types[type]
  if list then list[#list + 1] = value else types[type] = { value } end
end
local function each(places, visit)
  for kind, types in pairs(places) do
    for type, list in pairs(types) do visit(P .. kind .. ':' .. type, list) end
  end
end
local function count(type, field, by)
  local fields = counts[type]
  if not fields then fields = {} counts[type] = fields end
  fields[field] = (fields[field] or 0) + by
end
local function keep(key, rec)
  local n = #records
  records[n + 1] = key
  records[n + 2] = rec
end
local function write(key, type, old, is, new)
  keep(key, new)
  local was = SHOWN[old]
  if was ~= is then count(type, was, -1) count(type, is, 1) end
end
-- The set of running and detached tasks is for lists only; no script finds a task by it. Nothing would ever take a wrong
-- entry out, so tasks leave it before all other writes and enter it after them.
local hidden, shown = {}, {}
local function show(key, type, since) shown[key] = { type, since } end
local function leave(key, type, state)
  if state == 82 or state == 68 then
    shown[key] = nil
    add(hidden, 'run', type, key)
  end
  if state == 68 then add(zrems, 'away', type, key) end
end

-- The key of a body that stands outside its record.
local function params_key(key) return P .. 'p:' .. id_of(key) end
local function result_key(key, outcome) return P .. 'r:' .. id_of(key) .. ':' .. string.match(outcome, '^%S+') end
-- The key that says which task of a type has a unique key.
local function claim_key(rec, type) return P .. 'k:' .. type .. ':' .. extras_of(rec).key end
-- Whether a task that once got a key still has it: while its record is there, or a time after its end.
local function holds_key(rec, type)
  if not rec then return false end
  local life = FINAL[byte(rec, 2)] and info_of(type).keyTTL
  return not life or unpack_('<I6', rec, 27) + life > now
end
local function forget(key, rec)            -- the record and every key that belongs to it
  deletes[#deletes + 1] = key
  local bodies = byte(rec, 5)
  if bit.band(bodies, 1) ~= 0 then deletes[#deletes + 1] = params_key(key) end
  if bit.band(bodies, 2) ~= 0 then deletes[#deletes + 1] = result_key(key, outcome_of(rec)) end
  local flags = byte(rec, 49)
  if flags >= PROGRESS then
    if flag(rec, PROGRESS) then deletes[#deletes + 1] = P .. 'g:' .. id_of(key) end
    if flag(rec, LOGGED) then deletes[#deletes + 1] = P .. 'l:' .. id_of(key) end
    if flag(rec, KEYED) then
      local claim = claim_key(rec, type_of(rec))
      if call('GET', claim) == id_of(key) then deletes[#deletes + 1] = claim end
    end
  end
end

-- The queue in which a task waits: by its priority, or the one of tasks that run alone. An entry elsewhere is none of its own.
local QUEUES = { [104] = 'qh', [110] = 'q', [108] = 'ql' }
local function queue_of(rec) return flag(rec, ALONE) and 'sq' or QUEUES[byte(rec, 50)] end
-- Into its queue, at the end or at the front; those that run alone go to the end, so that none keeps the others waiting.
local function enqueue(key, rec, type, at_front)
  local queue = queue_of(rec)
  if queue == 'sq' then
    add(pushes, 'sq', type, key)
    woken['swake:' .. type] = true
    return
  end
  if queue ~= 'q' then mixed[type] = true end
  if at_front then
    add(fronts, queue, type, key)
    count(type, LEFT[queue], -1)
  else
    add(pushes, queue, type, key)
  end
  woken['wake:' .. type] = true
end

-- The block of bytes 5-26 with another outcome length.
local function block_for(rec, outcome) return sub(rec, 5, 16) .. pack('<I4', #outcome) .. sub(rec, 21, 26) end

-- A final status. `mine`: the pending handler call stays with the worker, else it goes to the type's handler queue. `at`: when
-- it was reached (6 bytes); nil: now.
local function finish(key, rec, type, state, phase, kind, block, outcome, mine, at)
  local round, flags, _, type_length, params, extras = unpack_('<I4BBBxxxxxxxxxI4I2', rec, 45)
  local last = HEADER + type_length + extras + params
  local new
  if mine then
    new = '1' .. state .. phase .. kind .. block .. (at or now6) .. sub(rec, 33, last) .. outcome
  else
    new = '1' .. state .. phase .. kind .. block .. now6 .. NOBODY .. sub(rec, 41, last) .. outcome
  end
  local entry, old = id_of(key), byte(rec, 2)
  if flags >= WATCHED then
    if bit.band(flags, WATCHED) ~= 0 then told[#told + 1] = entry end
    if bit.band(flags, EXPIRES) ~= 0 then add(zrems, 'exp', type, key) end
  end
  if round > 0 then entry = entry .. '.' .. round end
  add(pushes, state == 'C' and 'done' or 'dead', type, entry)
  if phase == 'p' and not mine then add(pushes, 'hq', type, key) woken['hwake:' .. type] = true end
  if old ~= 84 then
    leave(key, type, old)
    if old == 83 then add(zrems, 'due', type, key) end
  end
  write(key, type, old, SHOWN[byte(state)], new)
end
local function cancelled(key, rec, type)
  finish(key, rec, type, 'X', '-', '0', block_for(rec, ''), '', false)
end
local EXPIRED = '{"kind":"expired","message":"not started before it expired","retryable":false}'
local function expired(key, rec, type)
  finish(key, rec, type, 'F', phase_for(type, 'F'), '6', block_for(rec, EXPIRED), EXPIRED, false)
end
local function is_expired(rec) return flag(rec, EXPIRES) and extras_of(rec).expires <= now end
-- Back to the front of the queue at no attempt.
local function requeue(key, rec, type)
  local old = byte(rec, 2)
  local attempts = unpack_('<I2', rec, 7)
  if old == 82 then attempts = attempts - 1 end        -- counted when it was marked as running
  leave(key, type, old)
  enqueue(key, rec, type, true)
  if flag(rec, EXPIRES) then
    add(zadds, 'exp', type, extras_of(rec).expires)
    add(zadds, 'exp', type, key)
  end
  write(key, type, old, 'PENDING', '1P' .. sub(rec, 3, 6) .. pack('<I2', attempts) .. sub(rec, 9, 32) .. NOBODY .. sub(rec, 41, 78)
    .. NEVER .. sub(rec, 85))
end
-- The flags of a task that was started in time: it does not expire any more.
local function started(key, rec, type)
  local flags = byte(rec, 49)
  if flag(rec, EXPIRES) then
    flags = flags - EXPIRES
    add(zrems, 'exp', type, key)
  end
  return flags
end
-- An attempt has failed and another comes later (`at`: 6 bytes). The next one need not run alone, unless its worker had to be
-- ended for its memory.
local function schedule(key, rec, type, kind, block, at, outcome)
  local old = byte(rec, 2)
  leave(key, type, old)
  add(zadds, 'due', type, (unpack_('<I6', at)))
  add(zadds, 'due', type, key)
  local flags = started(key, rec, type)
  if kind ~= '4' then flags = bit.band(flags, 255 - ALONE) end
  write(key, type, old, 'SCHEDULED', '1S-' .. kind .. block .. NEVER .. NOBODY .. sub(rec, 41, 48) .. char(flags)
    .. sub(rec, 50, 72) .. at .. NEVER .. sub(rec, 85, body_end(rec)) .. outcome)
end
-- When to try again after so many failures: exponential with full jitter. `policy` as in JSON about the type.
local function due_after(key, failures, policy)
  local longest = math.min(policy.maxBackoff or 300000, (policy.backoff or 1000) * 2 ^ math.min(failures - 1, 50))
  -- Each script starts with the same random numbers.
  math.randomseed((now + tonumber(sub(key, -8), 16)) % 2147483648)
  return now + math.max(1, math.floor(math.random() * (longest + 1)))
end
-- Ends an attempt that failed and whose worker is not there to say so. A crash is not an attempt, anything else is: it was
-- counted when it was shown as running.
local function fail(key, rec, type, kind, outcome, may_retry)
  local attempts, policy, since = unpack_('<I2', rec, 7), info_of(type).retry or {}, sub(rec, 21, 26)
  local was_counted = byte(rec, 2) == 82
  if kind == '3' then
    if was_counted then attempts = attempts - 1 end
  elseif not was_counted then
    attempts = math.min(attempts + 1, 65535)
  end
  if since == NEVER then since = now6 end
  local most = policy.attempts or 1
  local block = sub(rec, 5, 6) .. pack('<I2I2I2', attempts, math.min(most, 65535), 0) .. sub(rec, 13, 16)
    .. pack('<I4', #outcome) .. since
  if may_retry and attempts < most then
    schedule(key, rec, type, kind, block, pack('<I6', due_after(key, attempts, policy)), outcome)
  else
    finish(key, rec, type, 'F', phase_for(type, 'F'), kind, block, outcome, false)
  end
end
-- Whether a timeout was decided for the take that the record is in; one for an earlier take means nothing any more.
local function is_overdue(rec) return sub(rec, 57, 60) == sub(rec, 41, 44) end
local OVERDUE = '{"kind":"timeout","message":"it did not stop within its grace after its deadline, and its process was ended",'
  .. '"retryable":true}'
-- A final record after one more try of its handler.
local function note(rec, phase, text, worker_take)
  return sub(rec, 1, 2) .. phase .. sub(rec, 4, 10) .. pack('<I2', unpack_('<I2', rec, 11) + 1) .. sub(rec, 13, 32)
    .. worker_take .. sub(rec, 45, body_end(rec)) .. outcome_of(rec) .. text
end
local function to_handler_queue(key, rec, type)
  add(pushes, 'hq', type, key)
  woken['hwake:' .. type] = true
  keep(key, sub(rec, 1, 32) .. NOBODY .. sub(rec, 41))
end
-- What becomes of a task whose worker lets go of it; `fence` is worker and take number of the one who held it.
local function give_back(key, rec, fence)
  if not rec or sub(rec, 33, 44) ~= fence then return false end
  local state = byte(rec, 2)
  if ACTIVE[state] then
    local type = type_of(rec)
    if flag(rec, CANCEL) then
      cancelled(key, rec, type)
    elseif is_overdue(rec) then
      fail(key, rec, type, '2', OVERDUE, true)
    else
      requeue(key, rec, type)
    end
    return true
  end
  if FINAL[state] and byte(rec, 3) == 112 then
    to_handler_queue(key, rec, type_of(rec))
    return true
  end
  return false
end

-- The tasks of a worker's batch as in-flight keeps them: key and 4 bytes of take number, one after the other.
local ITEM = #P + 2 + 32 + 4
local function each_in_flight(value, worker8, visit)
  local keys = {}
  for at = 1, #value, ITEM do keys[#keys + 1] = sub(value, at, at + ITEM - 5) end
  local recs = call('MGET', unpack(keys))
  for i = 1, #keys do visit(keys[i], recs[i], worker8 .. sub(value, i * ITEM - 3, i * ITEM)) end
end

-- Gives back the batches up to `last` that the worker does not hold any more: it never heard of them, or lost them.
-- Stops after about `most` tasks, because nothing may take long and Lua's stack is small; a heartbeat does the rest.
-- Returns the fields of in-flight that commit() is to remove, and how many tasks may still be moved.
local function compare(worker, worker8, last, held, most)
  local gone = {}
  for _, number in ipairs(call('HKEYS', P .. 'flight:' .. worker)) do
    if most > 0 and tonumber(number) <= last and not held[number] then
      local value = call('HGET', P .. 'flight:' .. worker, number)
      each_in_flight(value, worker8, give_back)
      outdate(worker)
      gone[#gone + 1] = number
      most = most - #value / ITEM
    end
  end
  return gone, most
end

-- A body in a key of its own is there for an hour, and stays once a record names it; a record must not name one that is gone.
local function keep_body(key)
  if call('EXISTS', key) == 0 then error(redis.error_reply('BODYGONE ' .. key .. ' is not there')) end
  persists[#persists + 1] = key
end

-- How many tasks of a type have each status.
local STATUSES = { 'SCHEDULED', 'PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED' }
local function tally(type)
  local sums = {}
  for i, value in ipairs(call('HMGET', P .. 'n:' .. type, unpack(STATUSES))) do sums[STATUSES[i]] = tonumber(value or '0') end
  return sums
end
-- How many tasks a finished list holds: entries of deleted and of retried tasks stay in it and do not count.
local function kept(list, sums)
  return list == 'done' and sums.COMPLETED or sums.FAILED + sums.CANCELLED
end

-- Writes all that was noted; `counts` then has the new values of the counters it changed. `old_places` removes what stands
-- in a place of the script's own (queue, in-flight, due).
local function commit(old_places)
  for worker in pairs(outdated) do call('INCR', P .. 'fence:' .. worker) end
  -- Before the tasks: a key that names no task is free, a queue that nobody looks into is not.
  if #claims > 0 then call('MSET', unpack(claims)) end
  for type in pairs(mixed) do call('HSET', P .. 'control', 'mixed:' .. type, '1') end
  each(hidden, function(key, list) call('ZREM', key, unpack(list)) end)
  each(pushes, function(key, list) call('RPUSH', key, unpack(list)) end)
  each(fronts, function(key, list)
    local reversed = {}                                  -- LPUSH turns the order round
    for i = #list, 1, -1 do reversed[#reversed + 1] = list[i] end
    call('LPUSH', key, unpack(reversed))
  end)
  each(zadds, function(key, list) call('ZADD', key, unpack(list)) end)
  for _, key in ipairs(persists) do call('PERSIST', key) end
  if #deletes > 0 then call('DEL', unpack(deletes)) end     -- a key that no record names any more would stay for ever
  if #records > 0 then call('MSET', unpack(records)) end
  each(zrems, function(key, list) call('ZREM', key, unpack(list)) end)
  if old_places then old_places() end
  local entering = {}
  for key, entry in pairs(shown) do
    add(entering, 'run', entry[1], entry[2])
    add(entering, 'run', entry[1], key)
  end
  each(entering, function(key, list) call('ZADD', key, unpack(list)) end)
  for key, lines in pairs(logs) do
    -- A repeat of a call whose answer was lost brings the same lines.
    if call('LINDEX', key, -1) ~= lines[#lines] then
      call('RPUSH', key, unpack(lines))
      call('LTRIM', key, -100, -1)
    end
  end
  for type, fields in pairs(counts) do
    for field, by in pairs(fields) do
      fields[field] = by ~= 0 and call('HINCRBY', P .. 'n:' .. type, field, by) or nil
    end
  end
  for name in pairs(woken) do wake(name) end
  for _, id in ipairs(told) do call('PUBLISH', P .. 'final', id) end
end
