-- How a store lies in Redis. This comes before each of the scripts.
--
-- KEYS[1] is "mortise:{NAMESPACE}:", with which all keys of a store begin. It is never a key itself, so
-- that a cluster that is moving the slot away refuses a script before it has begun.
--
--   r:LENGTH:COLLECTION:ID                     a record; what comes after "r:" is its name
--   c:COLLECTION                               its entries by create-revision: REVISION ID
--   u:COLLECTION                               its entries by mod-revision: REVISION ID
--   a:LENGTH:COLLECTION:LENGTH:NAME:VALUE      the entries of the records with an attribute, as in c:
--   expiry                                     names of records, by the instant at which they expire
--   collections                                the collections that have an entry
--   revision, bytes, layout                    the last revision; all records' bytes; this layout's number
--
-- Entries have one score and are ordered by their bytes: a revision has 19 digits, because as a score,
-- or as a number in Lua, it would be exact up to 2^53 only. An instant has 15 digits.
--
-- A record is "1", create-revision, mod-revision, created-at, updated-at, expires-at, the length of its
-- attributes in 7 digits, its attributes, its body. An attribute is the length of its name (1 byte), its
-- name, the length of its value (2 bytes, big-endian), its value.

local PREFIX, NOW = KEYS[1], ARGV[1]
local REVISION, BYTES = PREFIX .. 'revision', PREFIX .. 'bytes'
local EXPIRY, COLLECTIONS = PREFIX .. 'expiry', PREFIX .. 'collections'
-- Greater than every instant.
local NEVER = string.rep('~', 15)
local HEAD = 91
-- What is read of a record at first: its head and, mostly, all of its attributes.
local FIRST = 1024

local function name_of(collection, id)
  return #collection .. ':' .. collection .. ':' .. id
end

local function parts_of(name)
  local colon = string.find(name, ':', 1, true)
  local length = tonumber(string.sub(name, 1, colon - 1))
  return string.sub(name, colon + 1, colon + length), string.sub(name, colon + length + 2)
end

-- The key of the index of an attribute.
local function index_of(collection, name, value)
  return PREFIX .. 'a:' .. #collection .. ':' .. collection .. ':' .. #name .. ':' .. name .. ':' .. value
end

-- The keys of the indexes that attributes stand in. Fails where they are cut off.
local function indexes_of(collection, attributes)
  local indexes, at = {}, 1
  while at <= #attributes do
    local name, value
    name, value, at = struct.unpack('>Bc0I2c0', attributes, at)
    indexes[#indexes + 1] = index_of(collection, name, value)
  end
  return indexes
end

-- What stands before a record's attributes; nothing where it cannot be read.
local function head_of(value)
  local expires = string.sub(value, 70, 84)
  if string.sub(value, 1, 1) ~= '1'
    or not string.find(string.sub(value, 2, 69), '^%d+$')
    or not (expires == NEVER or string.find(expires, '^%d+$'))
    or not string.find(string.sub(value, 85, HEAD), '^%d%d%d%d%d%d%d$')
  then
    return nil
  end
  return {
    create = string.sub(value, 2, 20),
    mod = string.sub(value, 21, 39),
    created = string.sub(value, 40, 54),
    expires = expires,
    length = tonumber(string.sub(value, 85, HEAD)),
  }
end

-- A record without its body: its head, and the bytes up to its body. Only the bytes where the head, or
-- the attributes, cannot be read; nothing where there is no record.
local function look(key)
  local value = redis.call('GETRANGE', key, 0, FIRST - 1)
  if value == '' then
    -- An empty text is no record either.
    return nil, redis.call('EXISTS', key) == 1 and value or nil
  end
  local head = head_of(value)
  if not head then return nil, value end
  local size = HEAD + head.length
  if #value < size and #value == FIRST then
    value = value .. redis.call('GETRANGE', key, FIRST, size - 1)
  end
  if #value < size then return nil, value end
  value = string.sub(value, 1, size)
  head.attributes = string.sub(value, HEAD + 1)
  return head, value
end

-- Sets `head.indexes`; false where the attributes cannot be read.
local function read_indexes(collection, head)
  local readable, indexes = pcall(indexes_of, collection, head.attributes)
  head.indexes = readable and indexes or {}
  return readable
end

-- Takes a record out of every index. `head.indexes` is set.
local function unindex(collection, id, name, head)
  local entry = head.create .. id
  local created = PREFIX .. 'c:' .. collection
  redis.call('ZREM', created, entry)
  redis.call('ZREM', PREFIX .. 'u:' .. collection, head.mod .. id)
  for _, index in ipairs(head.indexes) do
    redis.call('ZREM', index, entry)
  end
  if head.expires ~= NEVER then
    redis.call('ZREM', EXPIRY, name)
  end
  if redis.call('EXISTS', created) == 0 then
    redis.call('SREM', COLLECTIONS, collection)
  end
end

-- Removes a record; answers how many bytes it had. `head.indexes` is set.
local function remove_record(collection, id, name, head)
  local key = PREFIX .. 'r:' .. name
  local bytes = redis.call('STRLEN', key)
  redis.call('UNLINK', key)
  unindex(collection, id, name, head)
  return bytes
end

-- Writes a record's bytes.
local function write_record(key, stamp, expires, attributes, body)
  local length = string.format('%07d', #attributes)
  redis.call('SET', key, '1' .. stamp .. expires .. length .. attributes .. body)
end

-- Puts a new record into every index but that of its expiry.
local function index(collection, entry, id, mod, indexes)
  redis.call('SADD', COLLECTIONS, collection)
  redis.call('ZADD', PREFIX .. 'c:' .. collection, 0, entry)
  redis.call('ZADD', PREFIX .. 'u:' .. collection, 0, mod .. id)
  for _, attribute in ipairs(indexes) do
    redis.call('ZADD', attribute, 0, entry)
  end
end

-- Whether the records together would have more bytes than the operator allows.
local function is_full(limit, growth)
  return limit ~= '' and growth > 0
    and tonumber(redis.call('GET', BYTES) or '0') + growth > tonumber(limit)
end
