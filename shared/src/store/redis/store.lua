-- Stores a report with its verdicts and what they change, removes the pending marker and tells everybody: all
-- or nothing.
-- KEYS: lease, report, verdicts, pending, history.
-- ARGV: owner, fence, channel, digest, report, ttl of the report in ms, ttl of verdicts and history in ms,
-- generation of the verdicts that were read before, generation of these, how many changes are kept, how many
-- follow, the changes, then field and value of the new verdict hash in turn.
-- Answers 1, 0 if the lease was lost, or -1 if other verdicts stand than those that were read: read again.
--
-- A script is not rolled back, so whatever the server may refuse (no memory, read-only, disk full) must be
-- refused at the first write: SET is one that all three refuse.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
local generation = redis.call('HGET', KEYS[3], '@generation') or ''
-- This very call was repeated because its answer got lost.
if generation == ARGV[9] then
  return 1
end
if generation ~= ARGV[8] then
  return -1
end
redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[6])
redis.call('DEL', KEYS[3])
local changes = tonumber(ARGV[11])
for i = 12 + changes, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[3], '@generation', ARGV[9])
redis.call('PEXPIRE', KEYS[3], ARGV[7])
for i = 12, 11 + changes do
  redis.call('XADD', KEYS[5], 'MAXLEN', ARGV[10], '*', 'c', ARGV[i])
end
if changes > 0 then
  redis.call('PEXPIRE', KEYS[5], ARGV[7])
end
redis.call('DEL', KEYS[4])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
