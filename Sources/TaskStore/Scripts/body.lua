#!lua flags=allow-oom
-- Stores a result in a key of its own where a plain SET is refused for want of memory: what ran must be kept.
-- KEYS: 1 the key. ARGV: 1 prefix, 2 the bytes.
-- Returns 1. The key goes away after an hour unless a record comes to name it.
call('SET', KEYS[1], ARGV[2], 'NX', 'EX', 3600)
return 1
