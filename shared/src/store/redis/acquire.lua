-- Takes the lease of a digest unless somebody else holds it.
-- KEYS: lease. ARGV: owner, ttl in ms, how long a fence is remembered in ms.
-- Answers {1, fence} or {0, remaining ms}.
--
-- The fence follows the server's clock in microseconds, so that it also grows after the key was
-- forgotten or evicted, and is never below its predecessor, should the clock be set back.
local clock = redis.call('TIME')
local now_us = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local now = math.floor(now_us / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'until')
local ends = tonumber(held[3] or '0')
local fence = tonumber(held[2] or '0')
if ends > now and held[1] ~= ARGV[1] then
  return {0, ends - now}
end
-- The same owner again is a request that was repeated because its answer got lost.
if held[1] ~= ARGV[1] then
  fence = math.max(now_us, fence + 1)
end
local ttl = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fence', string.format('%.0f', fence),
  'until', string.format('%.0f', now + ttl))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl + tonumber(ARGV[3])))
return {1, fence}
