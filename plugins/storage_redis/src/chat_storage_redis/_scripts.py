"""What the server does at once, in Lua: each script looks who the owner is and acts, and nothing comes between.

One hash per profile holds ``state``, and of the owner its ``owner`` (a random name), ``epoch`` (a number that only
grows), ``until`` (when the lease ends, in ms of the server's clock), ``lease`` (ms), ``serial`` (of its newest write)
and ``run`` (in which of its runs the server made it the owner). A sorted set holds the profiles that have a state, by
the end of their lease; 0 where the owner has gone.

An epoch is above all earlier ones, those included that a server lost when it was restarted: it is at least the time. So
of two owners the one with the higher epoch came later, whatever the server remembers.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ACQUIRE", "CLEAR", "ORPHANS", "RELEASE", "RENEW", "WRITE"]

#: Allowed when the server has no memory left: a session must be able to keep, end and give up what it has.
_ALWAYS: Final = "#!lua flags=allow-oom\n"
#: Refused then, whole.
_WITH_MEMORY: Final = "#!lua\n"

_NOW: Final = """
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

#: A server that was restarted may have forgotten the newest lease of a profile that it knows from an earlier run. Until
#: that would have run out nobody is let in but who renews. Where INFO is not allowed nobody knows, and nobody waits.
_SETTLING: Final = """
local function server()
    local info = redis.pcall('INFO', 'server')
    if type(info) ~= 'string' then return '', math.huge end
    return info:match('run_id:(%w+)') or '', tonumber(info:match('uptime_in_seconds:(%d+)') or 'inf')
end
local function settling(found_run, run, uptime, lease)
    if found_run == run then return 0 end
    return math.max(0, lease - (uptime - 1) * 1000)
end
"""

#: KEYS: hash, sorted set. ARGV: owner, lease in ms, profile. Returns 1, epoch, end; or 0, the owner's name, ms left.
ACQUIRE: Final = (
    _ALWAYS
    + _NOW
    + _SETTLING
    + """
local found = redis.call('HMGET', KEYS[1], 'owner', 'until', 'epoch', 'lease', 'run')
local owner, ends, epoch, lease = found[1], tonumber(found[2] or 0), tonumber(found[3] or 0), tonumber(found[4] or 0)
local time = now()
local run, uptime = server()
if owner ~= ARGV[1] then
    if owner and ends > time then return {0, owner, ends - time} end
    local wait = epoch > 0 and settling(found[5], run, uptime, math.max(lease, tonumber(ARGV[2]))) or 0
    if wait > 0 then return {0, '', wait} end
end
epoch = math.max(epoch + 1, time)
ends = time + ARGV[2]
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', ends, 'epoch', string.format('%.0f', epoch), 'lease', ARGV[2],
    'serial', 0, 'run', run)
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then
    redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2], 'GT')
    redis.call('ZADD', KEYS[2], ends, ARGV[3])
else
    redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
end
return {1, string.format('%.0f', epoch), string.format('%.0f', ends)}
"""
)

#: ARGV: owner, epoch, end of the lease as far as the owner knows, lease in ms, profile, ms to keep.
#: What a server forgot that was restarted its owner brings back, as long as the lease it was granted lasts.
_AS_OWNER: Final = (
    _NOW
    + """
local found = redis.call('HMGET', KEYS[1], 'owner', 'until', 'epoch')
local epoch, mine, time, ends = tonumber(found[3] or 0), tonumber(ARGV[2]), now(), tonumber(found[2] or 0)
if epoch > mine or (epoch == mine and found[1] ~= ARGV[1]) then return {0, found[1] or ''} end
if epoch < mine then
    ends = tonumber(ARGV[3])
    if time >= ends then return {0, found[1] or ''} end
    redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', ARGV[3], 'epoch', ARGV[2], 'lease', ARGV[4], 'serial', 0)
end
"""
)

#: A lease does not expire with a state that is kept for less.
_KEPT: Final = """
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then
    redis.call('PEXPIRE', KEYS[1], math.max(ARGV[6], 2 * ARGV[4]))
    redis.call('ZADD', KEYS[2], ends, ARGV[5])
else
    redis.call('PEXPIRE', KEYS[1], 2 * ARGV[4])
    redis.call('ZREM', KEYS[2], ARGV[5])
end
return {1, string.format('%.0f', ends)}
"""

#: ARGV[7]: the number of this write among its owner's. One that was given up may come after a later one, over another
#: connection, and changes nothing then.
_IN_TURN: Final = """
local newest = tonumber(redis.call('HGET', KEYS[1], 'serial') or 0)
if newest >= tonumber(ARGV[7]) then return {1, string.format('%.0f', ends)} end
redis.call('HSET', KEYS[1], 'serial', ARGV[7])
"""

#: As the owner; ARGV[8]: the state.
WRITE: Final = _WITH_MEMORY + _AS_OWNER + _IN_TURN + "redis.call('HSET', KEYS[1], 'state', ARGV[8])\n" + _KEPT
CLEAR: Final = _ALWAYS + _AS_OWNER + _IN_TURN + "redis.call('HDEL', KEYS[1], 'state')\n" + _KEPT
RENEW: Final = (
    _ALWAYS
    + _AS_OWNER
    + "ends = time + ARGV[4]\nredis.call('HSET', KEYS[1], 'until', ends, 'lease', ARGV[4])\n"
    + _KEPT
)

#: ARGV: owner, profile, ms to keep, lease in ms. A stale owner's does nothing. The epoch stays a while without a state
#: as well: a renewal or write that was given up may come later, and would be taken for one that the server forgot.
RELEASE: Final = (
    _ALWAYS
    + """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'until', 'serial')
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    redis.call('ZADD', KEYS[2], 0, ARGV[2])
else
    redis.call('PEXPIRE', KEYS[1], 2 * ARGV[4])
    redis.call('ZREM', KEYS[2], ARGV[2])
end
return 1
"""
)

#: KEYS: sorted set. ARGV: how many, what the hashes' names begin with, lease in ms. What has expired is dropped.
ORPHANS: Final = (
    _ALWAYS
    + _NOW
    + _SETTLING
    + """
local run, uptime = server()
local orphans = {}
for _, profile in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now(), 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
    local key = ARGV[2] .. profile
    if redis.call('HEXISTS', key, 'state') == 0 then
        redis.call('ZREM', KEYS[1], profile)
    elseif settling(redis.call('HGET', key, 'run'), run, uptime, tonumber(ARGV[3])) == 0 then
        table.insert(orphans, profile)
    end
end
return orphans
"""
)
