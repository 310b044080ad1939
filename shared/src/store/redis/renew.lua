-- Holds a lease for longer, if nobody has taken it over.
-- KEYS: lease. ARGV: owner, fence, ttl in ms, how long a fence is remembered in ms. Answers 1, or 0 if it is lost.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local ttl = tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ttl))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl + tonumber(ARGV[4])))
return 1
