-- Removes every record of a collection, or of all; answers how many were not expired.
--
-- ARGV: now; the collection, or nothing for all.

local live, growth = 0, 0
local function clear(collection)
  local created, indexes, after = PREFIX .. 'c:' .. collection, {}, '-'
  repeat
    local entries = redis.call('ZRANGEBYLEX', created, after, '+', 'LIMIT', 0, 1000)
    for _, entry in ipairs(entries) do
      local name = name_of(collection, string.sub(entry, 20))
      local key = PREFIX .. 'r:' .. name
      local head = look(key)
      if head and head.create == string.sub(entry, 1, 19) then
        if head.expires > NOW then live = live + 1 end
        read_indexes(collection, head)
        for _, index in ipairs(head.indexes) do indexes[index] = true end
      end
      growth = growth - redis.call('STRLEN', key)
      redis.call('UNLINK', key)
      redis.call('ZREM', EXPIRY, name)
      after = '(' .. entry
    end
  until #entries < 1000
  -- All of a collection's records went, so all of its indexes go.
  for index in pairs(indexes) do redis.call('UNLINK', index) end
  redis.call('UNLINK', created, PREFIX .. 'u:' .. collection)
  redis.call('SREM', COLLECTIONS, collection)
end

if ARGV[2] ~= '' then
  clear(ARGV[2])
else
  for _, collection in ipairs(redis.call('SMEMBERS', COLLECTIONS)) do clear(collection) end
end
if growth ~= 0 then redis.call('INCRBY', BYTES, growth) end
return live
