-- workload.lua FILE REPEATS: what scripts do: strings, tables, closures, sorting, arithmetic. Checks its own results.
local file, repeats = arg[1], tonumber(arg[2])
local text = assert(io.open(file, "rb")):read("a")

local function words()
  local count = {}
  for word in text:gmatch("%a+") do
    word = word:lower()
    count[word] = (count[word] or 0) + 1
  end
  local names = {}
  for name in pairs(count) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if count[a] ~= count[b] then return count[a] > count[b] end
    return a < b
  end)
  for i = 2, #names do assert(count[names[i - 1]] >= count[names[i]]) end
  return names[1], #names
end

local function sieve(limit)
  local composite, primes = {}, 0
  for i = 2, limit do
    if not composite[i] then
      primes = primes + 1
      for j = i * i, limit, i do composite[j] = true end
    end
  end
  return primes
end

local function queens(n)
  local solutions, columns, up, down = 0, {}, {}, {}
  local function place(row)
    if row > n then solutions = solutions + 1 return end
    for column = 1, n do
      if not (columns[column] or up[row + column] or down[row - column + n]) then
        columns[column], up[row + column], down[row - column + n] = true, true, true
        place(row + 1)
        columns[column], up[row + column], down[row - column + n] = false, false, false
      end
    end
  end
  place(1)
  return solutions
end

local Point = {}
Point.__index = Point
Point.__add = function(a, b) return setmetatable({x = a.x + b.x, y = a.y + b.y}, Point) end
function Point:length() return (self.x * self.x + self.y * self.y) ^ 0.5 end

local function walk(steps)
  local position = setmetatable({x = 0, y = 0}, Point)
  local state = 1
  for _ = 1, steps do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    position = position + setmetatable({x = (state >> 8) % 3 - 1, y = (state >> 16) % 3 - 1}, Point)
  end
  return position:length()
end

local function matrix(n)
  local a, b, c = {}, {}, {}
  for i = 1, n do
    a[i], b[i], c[i] = {}, {}, {}
    for j = 1, n do a[i][j], b[i][j] = (i * j) % 7, i == j and 1.0 or 0.0 end
  end
  for i = 1, n do
    local row = a[i]
    for j = 1, n do
      local sum = 0
      for k = 1, n do sum = sum + row[k] * b[k][j] end
      c[i][j] = sum
    end
  end
  for i = 1, n do for j = 1, n do assert(c[i][j] == a[i][j]) end end
  return c[n][n]
end

local function encode()
  local parts = {}
  for line in text:sub(1, 60000):gmatch("[^\n]+") do
    parts[#parts + 1] = line:gsub("[^%w]", function(c) return string.format("%%%02X", c:byte()) end)
  end
  local joined = table.concat(parts, "\n")
  local back = joined:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  assert(#back <= 60000)
  return #joined
end

for _ = 1, repeats do
  local most, distinct = words()
  assert(sieve(200000) == 17984)
  assert(queens(7) == 40)
  print(most, distinct, string.format("%.6f", walk(60000)), matrix(70), encode())
end
