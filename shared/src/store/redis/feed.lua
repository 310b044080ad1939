-- Appends changes to the feed and tells everybody.
-- KEYS: feed. ARGV: channel, what to say on it, how many changes are kept, then the changes.
for i = 4, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], '*', 'c', ARGV[i])
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
