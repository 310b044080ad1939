-- Remembers up to where the changes of a digest were announced; never goes back.
-- KEYS: announced. ARGV: milliseconds and number of the last one, ttl in ms.
local kept = redis.call('GET', KEYS[1])
if kept then
  local milliseconds, number = string.match(kept, '^(%d+)-(%d+)$')
  local now, ours = tonumber(ARGV[1]), tonumber(ARGV[2])
  if milliseconds and (tonumber(milliseconds) > now or (tonumber(milliseconds) == now and tonumber(number) > ours)) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. '-' .. ARGV[2], 'PX', ARGV[3])
return 1
