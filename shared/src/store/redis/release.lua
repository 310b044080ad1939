-- Gives a lease back, if it is still held; its fence is remembered for a while.
-- KEYS: lease. ARGV: owner, fence, how long a fence is remembered in ms.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] == ARGV[1] and held[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'owner', '', 'until', '0')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
