-- Marks a digest as waiting; an earlier marker keeps its `since`, and the later `until` of both counts.
-- KEYS: pending. ARGV: the marker.
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
return 1
