-- Keeps a note only where none is kept.
-- KEYS: note. ARGV: the note, ttl in ms. Answers 1, or 0 if somebody else keeps one there.
local kept = redis.call('GET', KEYS[1])
if not kept then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
-- The same note, its writer included, is a request that was repeated because its answer got lost.
return kept == ARGV[1] and 1 or 0
