-- Removes expired records and their index entries, the longest expired first; answers how many.
--
-- ARGV: now; the most records.

local removed, growth = 0, 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', NOW, 'LIMIT', 0, ARGV[2])) do
  local collection, id = parts_of(name)
  local head = look(PREFIX .. 'r:' .. name)
  if head and head.expires <= NOW and read_indexes(collection, head) then
    growth = growth - remove_record(collection, id, name, head)
    removed = removed + 1
  else
    -- What cannot be read is kept for whoever reads it, who sets it aside.
    redis.call('ZREM', EXPIRY, name)
  end
end
if growth ~= 0 then redis.call('INCRBY', BYTES, growth) end
return removed
