-- Replaces verdicts that were derived from the report that is stored, records what that changes, and tells
-- everybody.
-- KEYS: verdicts, history.
-- ARGV: channel, digest, revisions of that report, generation of the verdicts that were read before, generation
-- of these, ttl of the history in ms, how many changes are kept, how many follow, the changes, then policy and
-- verdict in turn.
-- Answers 1, or -1 if other verdicts stand than those that were read: read again.
local stood = redis.call('HMGET', KEYS[1], '@generation', '@revisions')
local generation = stood[1] or ''
-- This very call was repeated because its answer got lost.
if generation == ARGV[5] then
  return 1
end
if generation ~= ARGV[4] or stood[2] ~= ARGV[3] then
  return -1
end
redis.call('HSET', KEYS[1], '@generation', ARGV[5])
local changes = tonumber(ARGV[8])
for i = 9 + changes, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
for i = 9, 8 + changes do
  redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[7], '*', 'c', ARGV[i])
end
if changes > 0 then
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
