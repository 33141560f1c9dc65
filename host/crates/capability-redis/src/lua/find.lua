-- One run of records in the order of their revisions.
--
-- ARGV: now; the most records; the most bytes; "1" with bodies; "1" descending; the revision that it
-- starts behind, or nothing; "c" by create- or "u" by mod-revision; the collection, or nothing for all;
-- then the names and values of the attributes.
--
-- Answers whether more follow, and a name and the bytes of each record. An entry that leads nowhere, as
-- a record that could not be read has left it, is removed by whoever meets it.

local LIMIT, MAX_BYTES = tonumber(ARGV[2]), tonumber(ARGV[3])
local BODIES, DESCENDING, AFTER = ARGV[4] == '1', ARGV[5] == '1', ARGV[6]
local ORDER, COLLECTION = ARGV[7], ARGV[8]

local answer, found, bytes = { 0 }, 0, 0

-- Whether a revision comes before another in the run.
local function before(left, right)
  if DESCENDING then return left > right end
  return left < right
end

-- Adds the record that an entry leads to. False once the run has ended.
local function take(from, entry, revision, id)
  local name = name_of(from.collection, id)
  local key = PREFIX .. 'r:' .. name
  local head, value
  if BODIES and found < LIMIT then
    value = redis.call('GET', key)
    head = value and head_of(value)
  else
    head, value = look(key)
  end
  if not value or (head and head[from.order] ~= revision) then
    -- Not where the server refuses to write, of course.
    redis.pcall('ZREM', from.key, entry)
    return true
  end
  if head and head.expires <= NOW then return true end
  if found == LIMIT then
    answer[1] = 1
    return false
  end
  if not head then value = redis.call('GET', key) end
  local size = #id + #value - HEAD
  if found > 0 and bytes + size > MAX_BYTES then
    answer[1] = 1
    return false
  end
  found, bytes = found + 1, bytes + size
  answer[2 * found], answer[2 * found + 1] = name, value
  return true
end

-- The next entries of an index behind a revision, in the direction of the run.
local function entries(key, after, count)
  if DESCENDING then
    local edge = after == '' and '+' or '(' .. after
    return redis.call('ZREVRANGEBYLEX', key, edge, '-', 'LIMIT', 0, count)
  end
  -- No text has a byte 255: this comes after all entries of the revision.
  local edge = after == '' and '-' or '(' .. after .. '\255'
  return redis.call('ZRANGEBYLEX', key, edge, '+', 'LIMIT', 0, count)
end

-- Visits the entries of several indexes as if they were one.
local function walk(indexes, visit)
  local after, count = AFTER, LIMIT + 1
  while true do
    -- Up to the edge, every entry of every index is known.
    local known, edge = {}, nil
    for _, from in ipairs(indexes) do
      local listed = entries(from.key, after, count)
      for _, entry in ipairs(listed) do
        known[#known + 1] = { from = from, entry = entry, revision = string.sub(entry, 1, 19) }
      end
      if #listed == count then
        local last = known[#known].revision
        if not edge or before(last, edge) then edge = last end
      end
    end
    if #indexes > 1 then
      table.sort(known, function(left, right) return before(left.revision, right.revision) end)
    end
    for _, place in ipairs(known) do
      if edge and before(edge, place.revision) then break end
      if not visit(place.from, place.entry, place.revision, string.sub(place.entry, 20)) then return end
    end
    if not edge then return end
    after = edge
  end
end

local attributes = {}
for at = 9, #ARGV, 2 do
  local name, value = ARGV[at], ARGV[at + 1]
  attributes[#attributes + 1] = {
    key = index_of(COLLECTION, name, value), collection = COLLECTION, order = 'create',
  }
end

if COLLECTION == '' then
  local all = {}
  for _, collection in ipairs(redis.call('SMEMBERS', COLLECTIONS)) do
    all[#all + 1] = { key = PREFIX .. 'c:' .. collection, collection = collection, order = 'create' }
  end
  walk(all, take)
  return answer
end
if #attributes == 0 then
  local order = ORDER == 'c' and 'create' or 'mod'
  walk({ { key = PREFIX .. ORDER .. ':' .. COLLECTION, collection = COLLECTION, order = order } }, take)
  return answer
end

-- The rarest attribute leads; the others are looked up.
for _, attribute in ipairs(attributes) do attribute.size = redis.call('ZCARD', attribute.key) end
table.sort(attributes, function(left, right) return left.size < right.size end)
local rarest = attributes[1]
local function has_all(entry)
  for place = 2, #attributes do
    if not redis.call('ZSCORE', attributes[place].key, entry) then return false end
  end
  return true
end

if ORDER == 'c' then
  walk({ rarest }, function(from, entry, revision, id)
    return not has_all(entry) or take(from, entry, revision, id)
  end)
  return answer
end

-- By mod-revision there is no index for an attribute, which every update would have to move: all that
-- match are sorted.
local matching = {}
for _, entry in ipairs(redis.call('ZRANGE', rarest.key, 0, -1)) do
  if has_all(entry) then
    local id = string.sub(entry, 20)
    local key = PREFIX .. 'r:' .. name_of(COLLECTION, id)
    local mod = redis.call('GETRANGE', key, 20, 38)
    if AFTER == '' or before(AFTER, mod) then
      matching[#matching + 1] = { entry = entry, id = id, mod = mod }
    end
  end
end
table.sort(matching, function(left, right) return before(left.mod, right.mod) end)
for _, match in ipairs(matching) do
  if not take(rarest, match.entry, string.sub(match.entry, 1, 19), match.id) then break end
end
return answer
