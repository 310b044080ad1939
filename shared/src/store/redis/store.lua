-- Stores a report with its verdicts, removes the pending marker and tells everybody: all or nothing.
-- KEYS: lease, report, verdicts, pending.
-- ARGV: owner, fence, channel, digest, report, ttl of the report in ms, ttl of the verdicts in ms, then field
-- and value of the new verdict hash in turn. Answers 1, or 0 if the lease was lost.
--
-- A script is not rolled back, so whatever the server may refuse (no memory, read-only, disk full) must be
-- refused at the first write: SET is one that all three refuse.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[6])
redis.call('DEL', KEYS[3])
for i = 8, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[3], ARGV[7])
redis.call('DEL', KEYS[4])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
