-- Tells which layout the store has, and writes this one's number where it has none yet.
--
-- ARGV: now; this layout's number.
--
-- Answers the number, and why a command of the scripts was refused, if one was: half-way through a write
-- it would leave half of it behind.

local layout, probe = PREFIX .. 'layout', PREFIX .. 'probe'
local function try(...)
  local reply = redis.pcall(...)
  return type(reply) == 'table' and reply.err or nil
end
local refused = try('SET', layout, ARGV[2], 'NX')
  or try('SET', probe, '1') or try('INCR', probe) or try('INCRBY', probe, '0') or try('UNLINK', probe)
  or try('ZADD', probe, 0, 'x') or try('ZREM', probe, 'x')
  or try('SADD', probe, 'x') or try('SREM', probe, 'x')
  or try('ZRANGE', probe, 0, -1) or try('ZRANGEBYLEX', probe, '-', '+') or try('ZREVRANGEBYLEX', probe, '+', '-')
  or try('ZRANGEBYSCORE', probe, 0, 1) or try('ZCARD', probe) or try('ZSCORE', probe, 'x')
  or try('SMEMBERS', probe) or try('EXISTS', probe) or try('GETRANGE', probe, 0, 1) or try('STRLEN', probe)
return { redis.call('GET', layout) or ARGV[2], refused or '' }
