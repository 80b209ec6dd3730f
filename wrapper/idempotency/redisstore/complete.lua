-- KEYS[1] the key; ARGV owner, answer. Returns 1, or 0 if it is another's.
if redis.call('HGET', KEYS[1], 'o') ~= ARGV[1] then
  return 0
end
redis.call('HSETNX', KEYS[1], 'a', ARGV[2])
return 1
