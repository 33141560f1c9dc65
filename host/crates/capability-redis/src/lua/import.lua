-- Writes records with their stamps, all or none.
--
-- ARGV: now; the most bytes of all records, or nothing; then the records:
--   collection id create-revision mod-revision created-at updated-at expires-at attributes body
--
-- Answers "ok". Or what stands in the way, the place of the record, from 0, and the bytes of the record
-- that is under its key.

local LIMIT = ARGV[2]
local collections = redis.call('SMEMBERS', COLLECTIONS)
local highest = redis.call('GET', REVISION) or '0'
highest = string.rep('0', 19 - #highest) .. highest

-- The records that carry a revision, readable ones.
local function holders(revision)
  local found = {}
  if revision > highest then return found end
  for _, collection in ipairs(collections) do
    for _, order in ipairs({ 'c:', 'u:' }) do
      local key = PREFIX .. order .. collection
      for _, entry in ipairs(redis.call('ZRANGEBYLEX', key, '[' .. revision, '(' .. revision .. '\255')) do
        local id = string.sub(entry, 20)
        local name = name_of(collection, id)
        local head = look(PREFIX .. 'r:' .. name)
        if head and (head.create == revision or head.mod == revision) then
          found[name] = { collection = collection, id = id, head = head }
        end
      end
    end
  end
  return found
end

local new, gives_way, carriers, growth = {}, {}, {}, 0
for at = 3, #ARGV, 9 do
  local place = (at - 3) / 9
  local record = {
    collection = ARGV[at], id = ARGV[at + 1], create = ARGV[at + 2], mod = ARGV[at + 3],
    stamp = ARGV[at + 2] .. ARGV[at + 3] .. ARGV[at + 4] .. ARGV[at + 5],
    expires = ARGV[at + 6], attributes = ARGV[at + 7], body = ARGV[at + 8],
  }
  record.name = name_of(record.collection, record.id)
  record.key = PREFIX .. 'r:' .. record.name
  local head, stored = look(record.key)
  if stored and not head then return { 'corrupt', place, redis.call('GET', record.key) } end
  local is_live = head and head.expires > NOW
  if is_live and string.sub(stored, 2, 69) ~= record.stamp then
    return { 'changed', place, redis.call('GET', record.key) }
  end
  if not is_live then
    if head then
      gives_way[record.name] = { collection = record.collection, id = record.id, head = head }
    end
    for _, revision in ipairs({ record.create, record.mod }) do
      if carriers[revision] and carriers[revision] ~= record.name then return { 'taken', place } end
      carriers[revision] = record.name
      for name, holder in pairs(holders(revision)) do
        -- One that is expired is absent already.
        if holder.head.expires > NOW then return { 'taken', place } end
        gives_way[name] = holder
      end
    end
    record.indexes = indexes_of(record.collection, record.attributes)
    growth = growth + HEAD + #record.attributes + #record.body
    if is_full(LIMIT, growth) then return { 'full', place } end
    new[#new + 1] = record
  end
end
if #new == 0 then return { 'ok' } end

-- Before all else: where memory is full the server refuses this, and nothing has been written yet.
redis.call('INCRBY', REVISION, 0)
for name, holder in pairs(gives_way) do
  read_indexes(holder.collection, holder.head)
  growth = growth - remove_record(holder.collection, holder.id, name, holder.head)
end
for _, record in ipairs(new) do
  index(record.collection, record.create .. record.id, record.id, record.mod, record.indexes)
  if record.expires ~= NEVER then redis.call('ZADD', EXPIRY, record.expires, record.name) end
  write_record(record.key, record.stamp, record.expires, record.attributes, record.body)
  if record.create > highest then highest = record.create end
  if record.mod > highest then highest = record.mod end
end
local digits = string.match(highest, '^0*(%d+)$')
if digits ~= redis.call('GET', REVISION) then redis.call('SET', REVISION, digits) end
if growth ~= 0 then redis.call('INCRBY', BYTES, growth) end
return { 'ok' }
