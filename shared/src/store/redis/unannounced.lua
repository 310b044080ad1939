-- The changes of a digest after the last one that was announced.
-- KEYS: history, announced. ARGV: how many at most. Answers entries of the stream.
local last = redis.call('GET', KEYS[2])
return redis.call('XRANGE', KEYS[1], last and ('(' .. last) or '-', '+', 'COUNT', ARGV[1])
