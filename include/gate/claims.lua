-- Table helpers, and the claims of session ids. function.py loads this file and state.lua as one library.
--
-- A claim is one field of the hash of its sub-window of broker time: session_id -> CLAIM. A window has many such
-- hashes. A Bloom filter for each window first excludes ids without a claim; only the others are looked up.

local CHUNK = 1000 -- unpack() is bounded by Lua's stack
-- offset, epoch, ms since the start of the sub-window, verdict. 12 bytes: one more would double the allocation.
local CLAIM = '>I6I1I4c1'
local EPOCHS = 256
-- A false positive costs one lookup in each sub-window and changes no verdict.
local FILTER_ERROR, FILTER_GROWTH, FILTER_CAPACITY = '0.01', 4, 100000

-- All state of a batch is read at once, the rules use Lua tables, and all changes are written at once,
-- because a command for each row would cost more than all rules together.

local function in_chunks(command, key, values)
  for first = 1, #values, CHUNK do
    redis.call(command, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- member -> reply of a command with many members
local function answers(command, key, members)
  local found = {}
  for first = 1, #members, CHUNK do
    local last = math.min(first + CHUNK - 1, #members)
    local part = redis.call(command, key, unpack(members, first, last))
    for place = first, last do found[members[place]] = part[place - first + 1] end
  end
  return found
end

-- key -> list, created on first access
local function lists()
  return setmetatable({}, { __index = function(self, key)
    local list = {}
    rawset(self, key, list)
    return list
  end })
end

-- value -> key, cached because the conversion of a number to text is slow
local function keys_of(prefix)
  return setmetatable({}, { __index = function(self, number)
    local key = prefix .. string.format('%d', number)
    rawset(self, number, key)
    return key
  end })
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

-- Rows whose id may have a claim. Broker time can step back slightly, so the next sub-window is included.
local function possible(batch, rows)
  local wanted, hits = lists(), {}
  for _, row in ipairs(rows) do
    row.next_window = math.floor((row[7] + batch.sub_ms) / batch.window_ms)
    for window = row.window - 1, row.next_window do table.insert(wanted[window], row[2]) end
  end
  local found = {}
  for window, ids in pairs(wanted) do found[window] = answers('BF.MEXISTS', batch.filter_keys[window], ids) end
  for _, row in ipairs(rows) do
    for window = row.window - 1, row.next_window do
      if found[window][row[2]] == 1 then
        table.insert(hits, row)
        break
      end
    end
  end
  return hits
end

local function within(batch, row, received)
  return received >= row[7] - batch.window_ms
end

-- Applies a claim to a row: the row's own verdict, or a duplicate. Returns true when the search is over.
local function take(batch, row, sub, packed)
  local offset, epoch, ms, verdict = struct.unpack(CLAIM, packed)
  if offset == row[1] and epoch == batch.epoch then
    row.claim = verdict
    return true
  end
  if within(batch, row, sub * batch.sub_ms + ms) then row.claim = 'D' end
  -- The own claim of a redelivered row may be in an earlier sub-window.
  return row.claim and row[1] > batch.applied
end

-- Sets `claim` of the rows that have one. Reads from the newest sub-window of each row to its oldest.
local function read_claims(batch, rows)
  local pending = possible(batch, rows)
  for back = -1, math.ceil(batch.window_ms / batch.sub_ms) do
    local wanted, left = lists(), {}
    for _, row in ipairs(pending) do table.insert(wanted[row.sub - back], row[2]) end
    local found = {}
    for sub, ids in pairs(wanted) do found[sub] = answers('HMGET', batch.seen_keys[sub], ids) end
    for _, row in ipairs(pending) do
      local packed = found[row.sub - back][row[2]]
      if not (packed and take(batch, row, row.sub - back, packed)) then table.insert(left, row) end
    end
    pending = left
    if #pending == 0 then return end
  end
end

local function claim(batch, row, verdict)
  batch.claimed[row[2]] = row[7]
  local ms = row[7] - row.sub * batch.sub_ms
  local seen = batch.seen[row.sub]
  table.insert(seen, row[2])
  table.insert(seen, struct.pack(CLAIM, row[1], batch.epoch, ms, verdict))
  table.insert(batch.filtered[row.window], row[2])
end

-- Reserves a filter for as many claims as the previous window had. RedisBloom adds layers for more claims.
local function reserve_filter(batch, window)
  local key, before = batch.filter_keys[window], batch.filter_keys[window - 1]
  if redis.call('EXISTS', key) == 1 then return end
  local capacity = FILTER_CAPACITY
  if redis.call('EXISTS', before) == 1 then
    local about = redis.call('BF.INFO', before)
    for place = 1, #about, 2 do
      local name = type(about[place]) == 'table' and about[place].ok or about[place]
      if name == 'Number of items inserted' then capacity = math.max(capacity, math.ceil(1.25 * about[place + 1])) end
    end
  end
  redis.call('BF.RESERVE', key, FILTER_ERROR, capacity, 'EXPANSION', FILTER_GROWTH)
end

-- The lifetime of a claim starts when it is written, not when its record arrived, because a redelivered record of a
-- long backlog must find its verdict. Its filter is written in the same call, so it never expires earlier.
local function write_claims(batch)
  for window, ids in pairs(batch.filtered) do
    reserve_filter(batch, window)
    in_chunks('BF.MADD', batch.filter_keys[window], ids)
    redis.call('EXPIRE', batch.filter_keys[window], batch.limits[10])
  end
  for sub, claims in pairs(batch.seen) do
    local key = batch.seen_keys[sub]
    in_chunks('HSET', key, claims)
    redis.call('EXPIRE', key, batch.limits[10])
  end
end
