#!lua flags=allow-oom
-- Lets nothing of a type be taken, or again.
-- ARGV: 1 prefix, 2 type, 3 '1' to pause, '0' to resume. Returns 1.
local type = ARGV[2]
if ARGV[3] == '1' then
  call('HSET', P .. 'control', 'paused:' .. type, '1')
else
  call('HDEL', P .. 'control', 'paused:' .. type)
  local _, is_mixed = control(type)
  if waiting(type, is_mixed) > 0 then wake('wake:' .. type) end
  if call('LLEN', P .. 'sq:' .. type) > 0 then wake('swake:' .. type) end
end
return 1
