#!lua flags=allow-oom
-- Every write of a worker about its tasks: outcomes, marks, progress, give-backs, reports of handlers.
-- KEYS: the record key of each item.
-- ARGV: 1 prefix, 2 worker, 3 epoch, 4 batches that are empty after this call (numbers between spaces),
--       then two for each item:
--       head: operation, error kind '0'-'7', handler phase of the outcome ('p' or '-'), bytes 5-26 of the new record,
--             12 bytes of worker and take number, and where the operation needs it 6 bytes of time (of c and f: when it ended);
--       body: result, error or text;
--       or head: 'C', body: the completed record as it is to stand, made of one that was taken without manual retries and
--       flags but WATCHED. It is written as it is if the record is still as it was taken; if not, its parts make a 'c'.
-- Operations: c completed, f failed, r retry at time, x stopped on request, e expired before it started, b given back,
--             m running until time if there is one, v overdue, d detached until time, g progress (text),
--             o log (lines of JSON), t handler delivered, l handler failed for good (text), a handler again at time (text).
-- Returns nil if the worker may not write, else {time in ms, a letter for each item}: h written and the handler call is
--         this worker's, k written, n not this worker's any more (nothing was written).
local worker = ARGV[2]
if not admitted(worker, ARGV[3]) then return nil end
local recs = #KEYS > 0 and call('MGET', unpack(KEYS)) or {}
local answers, progress, latest, stays, completed = {}, {}, {}, {}, {}

local apply = {
  c = function(key, rec, type, head, body, phase)
    if bit.band(byte(head, 4), 2) ~= 0 then keep_body(result_key(key, body)) end
    finish(key, rec, type, 'C', phase, '0', sub(head, 4, 25), body, true, sub(head, 38, 43))
  end,
  f = function(key, rec, type, head, body, phase)
    if flag(rec, CANCEL) then return cancelled(key, rec, type) end
    finish(key, rec, type, 'F', phase, sub(head, 2, 2), sub(head, 4, 25), body, true, sub(head, 38, 43))
  end,
  r = function(key, rec, type, head, body)
    if flag(rec, CANCEL) then return cancelled(key, rec, type) end
    schedule(key, rec, type, sub(head, 2, 2), sub(head, 4, 25), sub(head, 38, 43), body)
  end,
  x = function(key, rec, type) cancelled(key, rec, type) end,
  e = function(key, rec, type)
    if flag(rec, CANCEL) then return cancelled(key, rec, type) end
    expired(key, rec, type)
  end,
  b = function(key, rec, _, head) give_back(key, rec, sub(head, 26, 37)) end,
  m = function(key, rec, type, head)
    local block, deadline = sub(head, 4, 25), sub(head, 38, 43)
    if deadline == '' then deadline = NEVER end
    show(key, type, (unpack_('<I6', block, 17)))
    write(key, type, byte(rec, 2), 'IN_PROGRESS', '1R' .. sub(rec, 3, 4) .. sub(block, 1, 12) .. sub(rec, 17, 20) .. sub(block, 17, 22)
      .. sub(rec, 27, 48) .. char(started(key, rec, type)) .. sub(rec, 50, 78) .. deadline .. sub(rec, 85))
  end,
  v = function(key, rec)
    if not is_overdue(rec) then keep(key, sub(rec, 1, 56) .. sub(rec, 41, 44) .. sub(rec, 61)) end
  end,
  d = function(key, rec, type, head)
    if flag(rec, CANCEL) then return cancelled(key, rec, type) end
    local block, at = sub(head, 4, 25), sub(head, 38, 43)
    if byte(rec, 2) ~= 82 then show(key, type, (unpack_('<I6', block, 17))) end
    add(zadds, 'away', type, (unpack_('<I6', at)))
    add(zadds, 'away', type, key)
    write(key, type, byte(rec, 2), 'IN_PROGRESS', '1D-0' .. block .. sub(rec, 27, 32) .. NOBODY .. sub(rec, 41, 48)
      .. char(bit.band(byte(rec, 49), 255 - ALONE)) .. sub(rec, 50, 78) .. at .. sub(rec, 85, body_end(rec)))
  end,
  g = function(key, rec, _, _, body)
    progress[#progress + 1] = P .. 'g:' .. id_of(key)
    progress[#progress + 1] = body
    if not flag(rec, PROGRESS) then keep(key, with_flag(rec, PROGRESS)) end
  end,
  o = function(key, rec, _, _, body)
    local log = P .. 'l:' .. id_of(key)
    local lines = logs[log] or {}
    logs[log] = lines
    for line in string.gmatch(body, '[^\n]+') do lines[#lines + 1] = line end
    if not flag(rec, LOGGED) then keep(key, with_flag(rec, LOGGED)) end
  end,
  t = function(key, rec, _, head) keep(key, note(rec, 'd', '', sub(rec, 33, 44))) end,
  l = function(key, rec, _, head, body) keep(key, note(rec, 'f', body, sub(rec, 33, 44))) end,
  a = function(key, rec, type, head, body)
    add(zadds, 'hdue', type, (unpack_('<I6', head, 38)))
    add(zadds, 'hdue', type, key)
    keep(key, note(rec, 'p', body, NOBODY .. sub(rec, 41, 44)))
  end,
}
local HANDLER = { t = true, l = true, a = true }

local function judge(key, rec, head, body)
  local op, fence = sub(head, 1, 1), sub(head, 26, 37)
  local answer = 'n'
  if sub(rec, 33, 44) == fence then
    local state, pending = byte(rec, 2), byte(rec, 3) == 112
    local fits
    if HANDLER[op] then fits = FINAL[state] and pending
    elseif op == 'b' then fits = ACTIVE[state] or FINAL[state] and pending
    elseif op == 'm' or op == 'e' then fits = state == 84
    else fits = ACTIVE[state] end
    if fits then
      local written = #records
      apply[op](key, rec, type_of(rec), head, body, sub(head, 3, 3))
      if #records > written then
        rec = records[#records]
        latest[key] = rec
      end
      answer = 'k'
    end
    -- Also for a repeat: the first answer was lost, and the handler call is still this worker's.
    if (op == 'c' or op == 'f') and FINAL[byte(rec, 2)] and byte(rec, 3) == 112 and sub(rec, 33, 44) == fence then
      answer = 'h'
    end
    if answer == 'h' or (op == 'm' or op == 'v') and answer == 'k' then
      stays[key .. sub(fence, 9)] = true
    elseif answer == 'k' and op ~= 'g' and op ~= 'o' then
      stays[key .. sub(fence, 9)] = nil          -- the call that marked it ends it too
    end
  end
  return answer
end

for i = 1, #KEYS do
  local key, head, body = KEYS[i], ARGV[3 + 2 * i], ARGV[4 + 2 * i]
  local rec = latest[key] or recs[i]             -- a call may say several things of one task
  if not rec then
    answers[i] = 'n'
  elseif head ~= 'C' then
    answers[i] = judge(key, rec, head, body)
  elseif byte(rec, 2) == 84 and sub(rec, 33, 49) == sub(body, 33, 49) then
    -- Almost every task ends here. Same worker and take, no retry, no flag but that somebody waits: nothing of a taken record can have
    -- changed but a verdict, which means nothing to one that completed after all.
    local type = type_of(rec)
    keep(key, body)
    latest[key] = body
    add(pushes, 'done', type, id_of(key))
    completed[type] = (completed[type] or 0) + 1
    if flag(body, WATCHED) then told[#told + 1] = id_of(key) end
    answers[i] = 'k'
    if byte(body, 3) == 112 then
      answers[i] = 'h'
      stays[key .. sub(body, 41, 44)] = true
    end
  else
    head = 'c0' .. sub(body, 3, 3) .. sub(body, 5, 26) .. sub(body, 33, 44) .. sub(body, 27, 32)
    answers[i] = judge(key, rec, head, outcome_of(body))
  end
end
for type, number in pairs(completed) do
  count(type, 'PENDING', -number)
  count(type, 'COMPLETED', number)
end

-- A batch with work left in it stays, whatever the worker says: nothing else finds that work.
local function is_empty(number)
  if next(stays) == nil then return true end
  local value = call('HGET', P .. 'flight:' .. worker, number) or ''
  for at = 1, #value, ITEM do
    if stays[sub(value, at, at + ITEM - 1)] then return false end
  end
  return true
end
local empty = {}
for number in string.gmatch(ARGV[4], '%S+') do
  if is_empty(number) then empty[#empty + 1] = number end
end
commit(function()
  if #progress > 0 then call('MSET', unpack(progress)) end
  if #empty > 0 then call('HDEL', P .. 'flight:' .. worker, unpack(empty)) end
end)
return { now, table.concat(answers) }
