-- The record's layout, and looks at a type. It stands before each script but those that define P themselves, with moves.lua behind it
-- for those with a line that calls commit(). ARGV[1] is always the key prefix, as in "roost:{00}:".
-- A call makes each of these functions anew, which costs a short script more than what it does: so what only moves need stands there.

local P = ARGV[1]
local call, sub, byte, char = redis.call, string.sub, string.byte, string.char
local pack, unpack_ = struct.pack, struct.unpack
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Record, format 1. Offsets count from 1; integers are little-endian; times are 6 bytes of ms since 1970 (0: none).
--  1 '1'        2 state      3 handler phase '-' none, 'p' pending, 'd' delivered, 'f' failed      4 error kind '0'-'7'
--  5 bodies (bit 0 params, 1 result in a key of their own)   6 zero   7 attempts u16   9 max attempts u16
-- 11 handler attempts u16   13 origin u32   17 outcome length u32   21 started at   27 finished at
-- 33 worker 8 bytes   41 take u32   45 manual retries u32
-- 49 flags (bit 0 cancel asked, 1 watched, 2 has progress, 3 has log lines, 4 has a key, 5 expires unless started in time,
--    6 is to run alone)
-- 50 priority   51 type length u8   52 zero   53 crashes u16   55 lost leases u16   57 verdict u32 (the take whose attempt
--    is to end as timed out, whoever moves the task on)
-- 61 params length u32   65 extras length u16   67 created at   73 due at   79 deadline   85 cancel asked at
-- 91 type, extras, params, outcome (result or error), note (the handler's last error, to the end)
-- States: P pending, T taken (shown as pending), R running, D detached, S scheduled, C completed, F failed, X cancelled.
local HEADER, NOBODY, NEVER = 90, '\0\0\0\0\0\0\0\0', '\0\0\0\0\0\0'
local FINAL = { [67] = true, [70] = true, [88] = true }
local CANCEL, WATCHED, PROGRESS, LOGGED, KEYED, EXPIRES, ALONE = 1, 2, 4, 8, 16, 32, 64

local function flag(rec, bit_) return bit.band(byte(rec, 49), bit_) ~= 0 end
local function with_flag(rec, bit_) return sub(rec, 1, 48) .. char(bit.bor(byte(rec, 49), bit_)) .. sub(rec, 50) end
local function id_of(key) return sub(key, -32) end
local function body_end(rec)
  local params, extras = unpack_('<I4I2', rec, 61)
  return HEADER + byte(rec, 51) + extras + params
end
local function outcome_of(rec)
  local from = body_end(rec)
  return sub(rec, from + 1, from + unpack_('<I4', rec, 17))
end
-- The worker that has it, as its keys name it.
local function holder_of(rec)
  return (string.gsub(sub(rec, 33, 40), '.', function(c) return string.format('%02x', byte(c)) end))
end

-- Counts the entries that left the queue at its front.
local LEFT = { qh = 'takenh', q = 'taken', ql = 'takenl', sq = 'takens' }

-- The hash `control`: 'paused:TYPE' while nothing of the type may be taken, 'mixed:TYPE' while it may have tasks of other
-- priorities than normal. Whoever uses neither has no field there.
local function control(type) return unpack(call('HMGET', P .. 'control', 'paused:' .. type, 'mixed:' .. type)) end
-- Without those that run alone.
local function waiting(type, is_mixed)
  local length = call('LLEN', P .. 'q:' .. type)
  if is_mixed then length = length + call('LLEN', P .. 'qh:' .. type) + call('LLEN', P .. 'ql:' .. type) end
  return length
end

-- At most one token stands in a list: 'wake:TYPE' for the type's queue, 'swake:TYPE' for its tasks that run alone, 'hwake:TYPE'
-- for its handler queue.
local function wake(name)
  if call('LLEN', P .. name) == 0 then call('RPUSH', P .. name, '1') end
end

-- May this worker write? Only while it has its lease and this is its newest connection.
local function admitted(worker, epoch) return call('HGET', P .. 'leases', worker) == epoch end
