-- KEYS[1] the key; ARGV owner.
if redis.call('HGET', KEYS[1], 'o') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'l', '0')
end
return 1
