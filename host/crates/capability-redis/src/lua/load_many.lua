-- Reads records under keys, all as of one instant.
--
-- ARGV: now; over how many bytes it is given up; then collection and id of each record.
--
-- Answers the bytes of each, or nothing where there is none or it is expired; only "large" where they
-- are too many.

local LIMIT = tonumber(ARGV[2])
local answer, bytes = {}, 0
for at = 3, #ARGV, 2 do
  local value = redis.call('GET', PREFIX .. 'r:' .. name_of(ARGV[at], ARGV[at + 1]))
  local head = value and head_of(value)
  if head and head.expires <= NOW then value = false end
  if value then bytes = bytes + #value end
  if bytes > LIMIT then return 'large' end
  answer[#answer + 1] = value
end
return answer
