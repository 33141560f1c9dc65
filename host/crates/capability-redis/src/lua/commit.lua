-- Checks all preconditions, then writes everything.
--
-- ARGV: now; the most bytes of all records, or nothing; the lifetime of records that name no expiry, or
-- nothing; then the writes:
--   "P" expectation collection id expires-at attributes body
--   "R" expectation collection id
-- An expectation: "*" none, "-" absent, "+" present, a revision, or "=" and the SHA-1 of the stored
-- bytes, readable or not.
--
-- Answers "ok" and the stamps: create-revision, mod-revision, created-at, updated-at. Or what stands in
-- the way, the place of the write, from 0, and, where it helps, the bytes of the record.

local LIMIT, LIFETIME = ARGV[2], ARGV[3]
local LAST_INSTANT = 253402300799999

local function next_revision()
  local number = redis.call('INCR', REVISION)
  if number < 2 ^ 53 then return string.format('%019.0f', number) end
  -- A number is exact up to there only.
  local revision = redis.call('GET', REVISION)
  return string.rep('0', 19 - #revision) .. revision
end

local writes, at, growth = {}, 4, 0
while at <= #ARGV do
  local write = {
    puts = ARGV[at] == 'P', expect = ARGV[at + 1], collection = ARGV[at + 2], id = ARGV[at + 3],
  }
  if write.puts then
    write.expires, write.attributes, write.body = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6]
    at = at + 7
  else
    at = at + 4
  end
  local place = #writes
  write.name = name_of(write.collection, write.id)
  write.key = PREFIX .. 'r:' .. write.name

  local head, stored = look(write.key)
  if head then
    write.is_same = write.attributes == head.attributes and head.expires > NOW
    if not write.is_same and not read_indexes(write.collection, head) then head = nil end
  end
  write.head = head
  write.is_there = stored ~= nil
  local expect = write.expect
  if string.sub(expect, 1, 1) == '=' then
    local value = redis.call('GET', write.key)
    if not value or redis.sha1hex(value) ~= string.sub(expect, 2) then return { 'gone', place } end
  elseif stored and not head then
    return { 'corrupt', place, redis.call('GET', write.key) }
  else
    write.is_live = head ~= nil and head.expires > NOW
    if expect == '-' then
      if write.is_live then return { 'exists', place } end
    elseif expect ~= '*' then
      if not write.is_live then return { 'missing', place } end
      if expect ~= '+' and expect ~= head.mod then
        return { 'changed', place, redis.call('GET', write.key) }
      end
    end
  end

  write.growth = write.is_there and -redis.call('STRLEN', write.key) or 0
  if write.puts then
    write.growth = write.growth + HEAD + #write.attributes + #write.body
    if not write.is_same then
      write.indexes = indexes_of(write.collection, write.attributes)
    end
  end
  growth = growth + write.growth
  if is_full(LIMIT, growth) then return { 'full', place } end
  writes[place + 1] = write
end

local function put(write)
  local collection, id, name, head = write.collection, write.id, write.name, write.head
  -- Before all else: where memory is full the server refuses this, and nothing has been written yet.
  local revision = next_revision()
  local create, created, expired_at = revision, NOW, NEVER
  if write.is_live then
    create, created, expired_at = head.create, head.created, head.expires
    redis.call('ZREM', PREFIX .. 'u:' .. collection, head.mod .. id)
    redis.call('ZADD', PREFIX .. 'u:' .. collection, 0, revision .. id)
    if not write.is_same then
      local entry, is_new = create .. id, {}
      for _, attribute in ipairs(write.indexes) do is_new[attribute] = true end
      for _, attribute in ipairs(head.indexes) do
        if is_new[attribute] then
          is_new[attribute] = false
        else
          redis.call('ZREM', attribute, entry)
        end
      end
      for _, attribute in ipairs(write.indexes) do
        if is_new[attribute] then redis.call('ZADD', attribute, 0, entry) end
      end
    end
  else
    if head then unindex(collection, id, name, head) end
    index(collection, create .. id, id, revision, write.indexes)
  end

  local expires = write.expires
  if expires == NEVER and LIFETIME ~= '' then
    expires = string.format('%015.0f', math.min(tonumber(created) + tonumber(LIFETIME), LAST_INSTANT))
  end
  if expires ~= expired_at then
    if expires == NEVER then
      redis.call('ZREM', EXPIRY, name)
    else
      redis.call('ZADD', EXPIRY, expires, name)
    end
  end
  local stamp = create .. revision .. created .. NOW
  write_record(write.key, stamp, expires, write.attributes, write.body)
  return stamp
end

local function remove(write)
  -- What frees memory comes first: the server refuses it never.
  if write.is_there then
    redis.call('UNLINK', write.key)
    if write.head then
      unindex(write.collection, write.id, write.name, write.head)
    else
      redis.call('ZREM', EXPIRY, write.name)
    end
  end
  local revision = next_revision()
  return revision .. revision .. NOW .. NOW
end

local answer = { 'ok' }
for place, write in ipairs(writes) do
  answer[place + 1] = write.puts and put(write) or remove(write)
end
if growth ~= 0 then redis.call('INCRBY', BYTES, growth) end
return answer
