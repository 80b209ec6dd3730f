-- KEYS[1] the key; ARGV owner.
if redis.call('HGET', KEYS[1], 'o') == ARGV[1] and redis.call('HEXISTS', KEYS[1], 'a') == 0 then
  redis.call('DEL', KEYS[1])
end
return 1
