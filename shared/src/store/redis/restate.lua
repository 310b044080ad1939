-- Replaces verdicts that were derived from the report that is stored, and tells everybody.
-- KEYS: verdicts. ARGV: channel, digest, then revisions, policy and verdict in turn.
-- Answers how many were replaced.
local stored = redis.call('HGET', KEYS[1], '@revisions')
local replaced = 0
for i = 3, #ARGV, 3 do
  if ARGV[i] == stored then
    redis.call('HSET', KEYS[1], ARGV[i + 1], ARGV[i + 2])
    replaced = replaced + 1
  end
end
if replaced > 0 then
  redis.call('PUBLISH', ARGV[1], ARGV[2])
end
return replaced
