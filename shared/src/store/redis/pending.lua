-- Marks a digest as waiting; an earlier marker keeps its `since`, and the later `until` of both counts.
-- With a second key it also notes where the image was seen: a place keeps its newest time, the oldest make room.
-- KEYS: pending, perhaps image. ARGV: the marker; place, time in microseconds, how many are kept, their ttl in ms.
local marker = cjson.decode(ARGV[1])
local text = ARGV[1]
local earlier = redis.call('GET', KEYS[1])
if earlier then
  local readable, old = pcall(cjson.decode, earlier)
  if readable and type(old) == 'table' and old.v == marker.v and type(old.until_ms) == 'number' then
    marker.since = old.since
    if old.until_ms > marker.until_ms then
      marker['until'] = old['until']
      marker.until_ms = old.until_ms
    end
    text = cjson.encode(marker)
  end
end
redis.call('SET', KEYS[1], text)
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', marker.until_ms))
if KEYS[2] then
  redis.call('ZADD', KEYS[2], 'GT', ARGV[3], ARGV[2])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[4] - 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return 1
