-- Decides one batch of one partition of sessions.raw, atomically. Every key begins with the partition's tag;
-- the dated ones are built from the tag in KEYS[1].
--
-- KEYS[1] tag   KEYS[2] counts  KEYS[3] known   KEYS[4] unique
-- KEYS[5] heartbeat  KEYS[6] blocked users  KEYS[7] blocked networks
-- ARGV[1] limits: {window_ms, rate_user, rate_network, bloom_capacity, topic id, rate_ttl_s, day_ttl_s, error rate,
--                  sub_window_ms, seen_ttl_s}
-- ARGV[2] rows in offset order: {offset, reason} for a record that was already rejected, or
--         {offset, session_id, user, network, minute, day, received_ms, too_fast, odd_device, odd_referrer}
-- ARGV[3] now, Unix ms
-- Returns one letter for each row: '-' already rejected, 'n' new user, 'k' known user, or a rejection.
--
-- Idempotent by origin: `applied` is the last offset whose effects are stored; a row at or below it only reads.
-- When memory is full, Redis refuses the call before its first line and never in the middle of it. The function must
-- therefore not have the flag allow-oom. https://redis.io/docs/latest/develop/programmability/lua-api/#script_flags

local REFUSALS = {
  D = 'duplicate', U = 'blocked_user', N = 'blocked_network', P = 'impossible_pace', R = 'rate_user',
  W = 'rate_network', V = 'unknown_device', F = 'unknown_referrer', E = 'dedup_entry_expired', n = 'valid', k = 'valid',
}

-- Adds derived values to a row: its sub-window, [13] key and [14] field of its user's rate, [15] and [16]
-- those of its network. One hash per hour of event time has a field for each minute.
local function complete(batch, row)
  local hour, minute = math.floor(row[5] / 60), row[5] % 60 .. ':'
  row.sub = math.floor(row[7] / batch.sub_ms)
  row.window = math.floor(row[7] / batch.window_ms)
  row[13], row[14] = batch.user_rates[hour], minute .. row[3]
  if row[4] ~= '' then row[15], row[16] = batch.network_rates[hour], minute .. row[4] end
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
  for key, fields in pairs(wanted) do batch.rates[key] = answers('HMGET', key, fields) end
end

local function over(batch, key, field, limit)
  local count = tonumber(batch.rates[key][field] or 0) + 1
  batch.rates[key][field] = count
  batch.rated[key][field] = count
  return count > limit
end

-- Reasons that need no counter: block lists and click rate.
local function refusal_without_counts(batch, row)
  if batch.users_blocked and redis.call('SISMEMBER', batch.keys[6], row[3]) == 1 then return 'U' end
  if batch.networks_blocked and row[4] ~= '' and redis.call('SISMEMBER', batch.keys[7], row[4]) == 1 then return 'N' end
  return row[8] and 'P' or nil
end

local function refusal(batch, row)
  local verdict = refusal_without_counts(batch, row)
  if verdict then return verdict end
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
  batch.visited[user] = true
  batch.days[row[6]][user] = true
  return new and 'n' or 'k'
end

local function judge(batch, row)
  if row.claim then return row.claim end
  local received = batch.claimed[row[2]]
  if received and within(batch, row, received) then return 'D' end
  if row[1] <= batch.applied then -- the claim has expired: read only, never admit
    return refusal_without_counts(batch, row) or 'E'
  end
  local verdict = refusal(batch, row) or admit(batch, row)
  claim(batch, row, verdict)
  return verdict
end

local function write(batch)
  write_claims(batch)
  for key, counts in pairs(batch.rated) do
    in_chunks('HSET', key, flat(counts))
    redis.call('EXPIRE', key, batch.limits[6])
  end
  in_chunks('BF.MADD', batch.keys[3], batch.fresh)
  in_chunks('PFADD', batch.keys[4], names(batch.visited))
  for day, users in pairs(batch.days) do
    local key = batch.keys[4] .. ':' .. day
    in_chunks('PFADD', key, names(users))
    redis.call('EXPIRE', key, batch.limits[7])
  end
  for verdict, number in pairs(batch.counted) do redis.call('HINCRBY', batch.keys[2], verdict, number) end
  redis.call('HSET', batch.keys[2], 'applied', string.format('%d', batch.applied_after))
  redis.call('SET', batch.keys[5], batch.now)
end

-- A recreated topic starts at offset 0 again. It gets another epoch, so that equal offsets are not equal origins.
local function applied_of(counts, topic)
  local state = redis.call('HMGET', counts, 'applied', 'topic', 'epoch')
  if state[2] == topic then return tonumber(state[1]), tonumber(state[3]) end
  local epoch = redis.call('HINCRBY', counts, 'epoch', 1)
  redis.call('HSET', counts, 'topic', topic, 'applied', -1)
  return -1, epoch
end

local function open(keys, args)
  local limits = cmsgpack.unpack(args[1])
  local applied, epoch = applied_of(keys[2], limits[5])
  if redis.call('EXISTS', keys[3]) == 0 then
    redis.call('BF.RESERVE', keys[3], limits[8], limits[4], 'EXPANSION', 2)
  end
  return {
    keys = keys, limits = limits, window_ms = limits[1], sub_ms = limits[9], now = args[3],
    applied = applied, applied_after = applied, epoch = epoch % EPOCHS,
    seen_keys = keys_of(keys[1] .. ':seen:'), filter_keys = keys_of(keys[1] .. ':seen:filter:'),
    user_rates = keys_of(keys[1] .. ':rate:user:'), network_rates = keys_of(keys[1] .. ':rate:network:'),
    users_blocked = redis.call('EXISTS', keys[6]) == 1, networks_blocked = redis.call('EXISTS', keys[7]) == 1,
    known = {}, rates = {}, claimed = {}, -- as read, and as changed by earlier rows
    seen = lists(), filtered = lists(), rated = lists(), fresh = {}, visited = {}, days = lists(), counted = {}, -- to be written
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

redis.register_function('gate_decide_@VERSION@', decide)
