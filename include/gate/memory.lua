#!lua name=showroom_gate
-- Decides one batch of one partition of sessions.raw, atomically. Every key carries the partition's hash
-- tag; the dated ones are made from the tag in KEYS[1], so they live in the same cluster slot.
--
-- KEYS[1] tag   KEYS[2] counts  KEYS[3] known   KEYS[4] unique  KEYS[5] sessions of users
-- KEYS[6] heartbeat  KEYS[7] blocked users  KEYS[8] blocked networks
-- ARGV[1] limits: {window_ms, rate_user, rate_network, users_expected, topic id, rate_ttl_s, day_ttl_s, error rate}
-- ARGV[2] rows in offset order: {offset, reason} for a record refused before, or
--         {offset, session_id, user, network, minute, day, received_ms, too_fast, odd_device, odd_referrer}
-- ARGV[3] now, Unix ms
-- Returns one letter for each row: '-' refused before, 'n' new user, 'k' known user, or a refusal.
--
-- Idempotent by origin: `applied` is the last offset whose effects are in; a row at or below it only reads.

local REFUSALS = {
  D = 'duplicate', U = 'blocked_user', N = 'blocked_network', P = 'impossible_pace', R = 'rate_user',
  W = 'rate_network', V = 'unknown_device', F = 'unknown_referrer', n = 'valid', k = 'valid',
}
local CHUNK = 1000 -- unpack() is bounded by Lua's stack

-- The state a batch needs is read at once, the rules work on Lua tables, and what changed is written at once:
-- a command for each row would cost more than all rules together.

local function in_chunks(command, key, values)
  for first = 1, #values, CHUNK do
    redis.call(command, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- member -> answer of a command that takes many members
local function answers(command, key, members)
  local found = {}
  for first = 1, #members, CHUNK do
    local last = math.min(first + CHUNK - 1, #members)
    local part = redis.call(command, key, unpack(members, first, last))
    for place = first, last do found[members[place]] = part[place - first + 1] end
  end
  return found
end

-- key -> list, made when first asked for
local function lists()
  return setmetatable({}, { __index = function(self, key)
    local list = {}
    rawset(self, key, list)
    return list
  end })
end

-- value -> key, made once: a number becomes text slowly
local function keys_of(prefix)
  return setmetatable({}, { __index = function(self, number)
    local key = prefix .. string.format('%d', number)
    rawset(self, number, key)
    return key
  end })
end

-- Adds to a row what is derived from it: [11] origin, [12] key of its claims, [13] key and [14] field of its
-- user's rate, [15] and [16] those of its network. One hash an hour of event time holds a field for each minute.
local function complete(batch, row)
  local hour, minute = math.floor(row[5] / 60), row[5] % 60 .. ':'
  row[11] = batch.origin .. string.format('%d', row[1])
  row[12] = batch.seen_keys[math.floor(row[7] / batch.limits[1])]
  row[13], row[14] = batch.user_rates[hour], minute .. row[3]
  if row[4] ~= '' then row[15], row[16] = batch.network_rates[hour], minute .. row[4] end
end

-- A session_id is claimed in the generation of its first arrival, so it is in at most one of the two looked at.
local function read_claims(batch, rows)
  local wanted = lists()
  for _, row in ipairs(rows) do
    local generation = math.floor(row[7] / batch.limits[1])
    table.insert(wanted[generation], row[2])
    table.insert(wanted[generation - 1], row[2])
  end
  for generation, ids in pairs(wanted) do
    for id, claim in pairs(answers('HMGET', batch.seen_keys[generation], ids)) do
      if claim then
        local origin, verdict = string.match(claim, '^(.+):(.)$')
        batch.claims[id] = { origin, verdict }
      end
    end
  end
end

local function read_users(batch, rows)
  local users, seen, wanted = {}, {}, lists()
  for _, row in ipairs(rows) do
    if not seen[row[3]] then
      seen[row[3]] = true
      table.insert(users, row[3])
    end
    table.insert(wanted[row[13]], row[14])
    if row[15] then table.insert(wanted[row[15]], row[16]) end
  end
  batch.known = answers('BF.MEXISTS', batch.keys[3], users)
  batch.sessions = answers('HMGET', batch.keys[5], users)
  for key, fields in pairs(wanted) do batch.rates[key] = answers('HMGET', key, fields) end
end

local function over(batch, key, field, limit)
  local count = tonumber(batch.rates[key][field] or 0) + 1
  batch.rates[key][field] = count
  batch.rated[key][field] = count
  return count > limit
end

local function refusal(batch, row)
  if batch.users_blocked and redis.call('SISMEMBER', batch.keys[7], row[3]) == 1 then return 'U' end
  if batch.networks_blocked and row[4] ~= '' and redis.call('SISMEMBER', batch.keys[8], row[4]) == 1 then return 'N' end
  if row[8] then return 'P' end
  if over(batch, row[13], row[14], batch.limits[2]) then return 'R' end
  if row[15] and over(batch, row[15], row[16], batch.limits[3]) then return 'W' end
  if (row[9] or row[10]) and batch.known[row[3]] == 0 then return row[9] and 'V' or 'F' end
  return nil
end

local function admit(batch, row)
  local user = row[3]
  local new = batch.known[user] == 0
  if new then
    batch.known[user] = 1
    table.insert(batch.fresh, user)
  end
  batch.sessions[user] = tonumber(batch.sessions[user] or 0) + 1
  batch.visited[user] = batch.sessions[user]
  batch.days[row[6]][user] = true
  return new and 'n' or 'k'
end

local function judge(batch, row)
  local claim = batch.claims[row[2]]
  if claim then
    if claim[1] == row[11] then return claim[2] end
    return 'D'
  end
  if row[1] <= batch.applied then -- its claim has expired: read only
    return batch.known[row[3]] == 1 and 'k' or 'n'
  end
  local verdict = refusal(batch, row) or admit(batch, row)
  batch.claims[row[2]] = { row[11], verdict }
  local seen = batch.seen[row[12]]
  table.insert(seen, row[2])
  table.insert(seen, row[11] .. ':' .. verdict)
  return verdict
end

local function flat(map)
  local list = {}
  for key, value in pairs(map) do
    table.insert(list, key)
    table.insert(list, value)
  end
  return list
end

local function names(map)
  local list = {}
  for key in pairs(map) do table.insert(list, key) end
  return list
end

local function write(batch)
  for key, claims in pairs(batch.seen) do
    in_chunks('HSET', key, claims)
    redis.call('EXPIRE', key, math.ceil(2 * batch.limits[1] / 1000))
  end
  for key, counts in pairs(batch.rated) do
    in_chunks('HSET', key, flat(counts))
    redis.call('EXPIRE', key, batch.limits[6])
  end
  in_chunks('BF.MADD', batch.keys[3], batch.fresh)
  in_chunks('HSET', batch.keys[5], flat(batch.visited))
  in_chunks('PFADD', batch.keys[4], names(batch.visited))
  for day, users in pairs(batch.days) do
    local key = batch.keys[4] .. ':' .. day
    in_chunks('PFADD', key, names(users))
    redis.call('EXPIRE', key, batch.limits[7])
  end
  for verdict, number in pairs(batch.counted) do redis.call('HINCRBY', batch.keys[2], verdict, number) end
  redis.call('HSET', batch.keys[2], 'applied', string.format('%d', batch.applied_after))
  redis.call('SET', batch.keys[6], batch.now)
end

-- A topic made anew counts its offsets from 0 again: another epoch, so that equal offsets are not taken for equal origins.
local function applied_of(counts, topic)
  local state = redis.call('HMGET', counts, 'applied', 'topic', 'epoch')
  if state[2] == topic then return tonumber(state[1]), state[3] end
  local epoch = redis.call('HINCRBY', counts, 'epoch', 1)
  redis.call('HSET', counts, 'topic', topic, 'applied', -1)
  return -1, tostring(epoch)
end

local function open(keys, args)
  local limits = cmsgpack.unpack(args[1])
  local applied, epoch = applied_of(keys[2], limits[5])
  if redis.call('EXISTS', keys[3]) == 0 then
    redis.call('BF.RESERVE', keys[3], limits[8], limits[4], 'EXPANSION', 2)
  end
  return {
    keys = keys, limits = limits, now = args[3], applied = applied, applied_after = applied, origin = epoch .. '.',
    seen_keys = keys_of(keys[1] .. ':seen:'),
    user_rates = keys_of(keys[1] .. ':rate:user:'), network_rates = keys_of(keys[1] .. ':rate:network:'),
    users_blocked = redis.call('EXISTS', keys[7]) == 1, networks_blocked = redis.call('EXISTS', keys[8]) == 1,
    claims = {}, known = {}, sessions = {}, rates = {}, -- as read, and as changed by the rows before
    seen = lists(), rated = lists(), fresh = {}, visited = {}, days = lists(), counted = {}, -- to be written
  }
end

local function decide(keys, args)
  local batch, rows, candidates = open(keys, args), cmsgpack.unpack(args[2]), {}
  for _, row in ipairs(rows) do
    if #row > 2 then
      complete(batch, row)
      table.insert(candidates, row)
    end
  end
  read_claims(batch, candidates)
  read_users(batch, candidates)
  local letters = {}
  for place, row in ipairs(rows) do
    local letter = #row == 2 and '-' or judge(batch, row)
    letters[place] = letter
    if row[1] > batch.applied then
      local verdict = #row == 2 and row[2] or REFUSALS[letter]
      batch.counted[verdict] = (batch.counted[verdict] or 0) + 1
      batch.applied_after = row[1]
    end
  end
  write(batch)
  return table.concat(letters)
end

redis.register_function('gate_decide', decide)
