-- KEYS[1] the key; ARGV fingerprint, owner, lease in us, lifetime in ms, rerun
-- Returns state, token, run, ms to live, answer. The states are idempotency.State's.
redis.replicate_commands()
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local r = redis.call('HMGET', KEYS[1], 'p', 'o', 't', 'n', 'l')
local token, run = now, 1
if r[1] then
  local ttl = redis.call('PTTL', KEYS[1])
  if r[1] ~= ARGV[1] then
    return {5, 0, 0, ttl, ''}
  end
  local answer = redis.call('HGET', KEYS[1], 'a')
  if answer then
    return {4, 0, 0, ttl, answer}
  end
  if r[2] == ARGV[2] then
    return {1, r[3], r[4], ttl, ''}
  end
  if tonumber(r[5]) > now then
    return {2, 0, 0, ttl, ''}
  end
  if ARGV[5] ~= '1' then
    return {3, 0, 0, ttl, ''}
  end
  token, run = math.max(now, tonumber(r[3]) + 1), tonumber(r[4]) + 1
end
local whole = string.format('%.0f', token)
redis.call('HSET', KEYS[1], 'p', ARGV[1], 'o', ARGV[2], 't', whole, 'n', run,
  'l', string.format('%.0f', now + tonumber(ARGV[3])))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, whole, run, tonumber(ARGV[4]), ''}
