-- Counts some records of a collection, by create-revision.
--
-- ARGV: now; the collection; the revision that it starts behind, or nothing; how many entries.
--
-- Answers the revision of the last entry, or nothing where all were counted, and how many records and
-- bytes of bodies the entries lead to, expired ones left out.

local collection, after, count = ARGV[2], ARGV[3], tonumber(ARGV[4])
local edge = after == '' and '-' or '(' .. after .. '\255'
local entries = redis.call('ZRANGEBYLEX', PREFIX .. 'c:' .. collection, edge, '+', 'LIMIT', 0, count)
local records, bytes, last = 0, 0, ''
for _, entry in ipairs(entries) do
  last = string.sub(entry, 1, 19)
  local key = PREFIX .. 'r:' .. name_of(collection, string.sub(entry, 20))
  local head = head_of(redis.call('GETRANGE', key, 0, HEAD - 1))
  if head and head.create == last and head.expires > NOW then
    records = records + 1
    bytes = bytes + redis.call('STRLEN', key) - HEAD - head.length
  end
end
return { #entries == count and last or '', records, bytes }
