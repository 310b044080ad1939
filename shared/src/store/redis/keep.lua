-- Lets the verdicts of a digest live for another while, because somebody asked for them.
-- KEYS: verdicts. ARGV: ttl in ms, when that ends in ms since 1970.
if redis.call('PEXPIRE', KEYS[1], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], '@until', ARGV[2])
end
return 1
