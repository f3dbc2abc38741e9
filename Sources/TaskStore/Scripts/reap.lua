#!lua flags=allow-oom
-- Takes the lease of a worker that is gone, or of a host, and gives back what it held, one batch a call.
-- ARGV: 1 prefix, 2 worker or host, 3 its 8 bytes, 4 the heartbeat count seen ('' when it is known to be dead),
--       5 '1' if a task that had started counts this as a lost lease, 6 what is known of its tasks and handler calls, for each
--       32 digits of the id, 4 bytes of take number, a letter, and a number u32 (n) of its error, which is ARGV[6 + n];
--       7... errors: kind '1'-'7', length of the message u16, message, JSON.
-- Letters: c it took the worker down, s it may have, l it had started when the worker was lost, f its attempt failed and may
-- be retried, g its attempt failed for good.
-- What fits no take of the batch is passed over: it may belong to another one.
-- Returns the batches left: call again until it is 0; -1 if it lives.
local worker, is_loss, findings = ARGV[2], ARGV[5] == '1', {}
if ARGV[4] ~= '' and call('HGET', P .. 'beats', worker) ~= ARGV[4] then return -1 end
local FINDING = 32 + 4 + 1 + 4
for at = 1, #ARGV[6], FINDING do
  findings[sub(ARGV[6], at, at + 35)] = sub(ARGV[6], at + 36, at + FINDING - 1)
end
local function error_of(finding)
  local text = ARGV[6 + unpack_('<I4', finding, 2)]
  local json = 4 + unpack_('<I2', text, 2)
  return sub(text, 1, 1), sub(text, 4, json - 1), sub(text, json)
end

local function with_counts(rec, crashes, losses)
  return sub(rec, 1, 52) .. pack('<I2I2', math.min(crashes, 65535), math.min(losses, 65535)) .. sub(rec, 57)
end
-- It is shown with the error while it waits.
local function with_error(rec, kind, json)
  return sub(rec, 1, 3) .. kind .. sub(rec, 5, 16) .. pack('<I4', #json) .. sub(rec, 21, body_end(rec)) .. json
end
local function crashed(key, rec, type, finding)
  local crashes, losses = unpack_('<I2I2', rec, 53)
  local kind, _, json = error_of(finding)
  rec = with_counts(rec, crashes + 1, losses)
  if crashes + 1 >= (info_of(type).maxCrashes or 2) then
    fail(key, rec, type, kind, json, false)
  else
    requeue(key, with_flag(with_error(rec, kind, json), ALONE), type)
  end
end
local OFTEN = '{"kind":"crash","message":"its worker was lost five times while it ran, which may be its doing","retryable":false}'
local function lost(key, rec, type)
  local crashes, losses = unpack_('<I2I2', rec, 53)
  rec = with_counts(rec, crashes, losses + 1)
  if losses + 1 >= 5 then fail(key, rec, type, '3', OFTEN, false) else requeue(key, rec, type) end
end
local SUSPECT = 'it may have been the one that took its worker down'
-- A handler call whose worker it took down, or may have: a try like one that failed.
local function spend_try(key, rec, type, message)
  local tries, policy, holder = unpack_('<I2', rec, 11) + 1, info_of(type).handlerRetry or {}, NOBODY .. sub(rec, 41, 44)
  if tries >= (policy.attempts or 10) then return keep(key, note(rec, 'f', message, holder)) end
  add(zadds, 'hdue', type, due_after(key, tries, policy))
  add(zadds, 'hdue', type, key)
  keep(key, note(rec, 'p', message, holder))
end
local function let_go(key, rec, fence)
  local finding = findings[id_of(key) .. sub(fence, 9)]
  local what = finding and sub(finding, 1, 1)
  if not rec or sub(rec, 33, 44) ~= fence then return end
  local state, type = byte(rec, 2), type_of(rec)
  if ACTIVE[state] and not flag(rec, CANCEL) then
    if what == 'c' then return crashed(key, rec, type, finding) end
    if what == 's' then return requeue(key, with_flag(rec, ALONE), type) end
    local is_lost = what == 'l' or not what and is_loss and state == 82
    if is_lost and not is_overdue(rec) then return lost(key, rec, type) end
    if what and what ~= 'l' then
      local kind, _, json = error_of(finding)
      return fail(key, rec, type, kind, json, what == 'f')
    end
  elseif FINAL[state] and byte(rec, 3) == 112 and (what == 'c' or what == 's') then
    local message = SUSPECT
    if what == 'c' then
      local _, text = error_of(finding)
      message = text
    end
    return spend_try(key, rec, type, message)
  end
  give_back(key, rec, fence)
end

-- From here on every command of the worker is refused. The entry goes last: whoever sees it goes on where another stopped.
if call('HEXISTS', P .. 'leases', worker) == 1 then
  call('INCR', P .. 'fence:' .. worker)
  call('HSET', P .. 'leases', worker, 'taken')
end
local batches = call('HKEYS', P .. 'flight:' .. worker)
if #batches > 0 then
  each_in_flight(call('HGET', P .. 'flight:' .. worker, batches[1]), ARGV[3], let_go)
  commit(function() call('HDEL', P .. 'flight:' .. worker, batches[1]) end)
end
if #batches <= 1 then
  call('HDEL', P .. 'hosts', worker)
  call('HDEL', P .. 'submits', worker)
  call('HDEL', P .. 'leases', worker)
  call('HDEL', P .. 'beats', worker)
  call('DEL', P .. 'ctl:' .. worker, P .. 'fence:' .. worker)
  return 0
end
return #batches - 1
