# SPDX-License-Identifier: Apache-2.0
"""The goals and how near they are."""
from medians import number, percent, times

MEBI = 1 << 20


class Table:
    def __init__(self, medians):
        self.medians = medians
        self.rows = []

    def add(self, what, goal, value, unit, at_least, sources, shown=None):
        """`value` is None when it could not be measured; the ratio to the goal stands beside it."""
        word = "≥" if at_least else "≤"
        wanted = f"{word} {goal * 100:g} %" if unit == "%" else f"{word} {goal:,g} {unit}".strip()
        if value is None:
            reason = self.medians.failure(*sources)
            said, verdict = "–", f"not measured: {reason}" if reason else "not in this run"
        else:
            said = shown or (percent(value) if unit == "%" else f"{number(value)} {unit}".strip())
            is_met = value >= goal if at_least else value <= goal
            verdict = f"{'met' if is_met else '**missed**'}: {times(value / goal)} {'the goal' if at_least else 'the limit'}"
        self.rows.append(f"| {what} | {wanted} | {said} | {verdict} |")

    def least(self, what, goal, value, unit, *sources, shown=None):
        self.add(what, goal, value, unit, True, sources, shown)

    def most(self, what, goal, value, unit, *sources, shown=None):
        self.add(what, goal, value, unit, False, sources, shown)


def loss(ratio):
    """What is lost, as a share; a gain is no loss."""
    return None if ratio is None else max(0.0, 1 - ratio)


def table(medians, waiting):
    """Lines of the table of goals."""
    m, t = medians.of, Table(medians)
    speed = "tasksPerSecond"
    t.least("submit and execute at once", 100_000, m("both", speed), "tasks/s", "both")
    t.least("… of a C client with the same layout and scripts", 0.75, medians.ratio("both", "layout", speed), "%", "both", "layout")
    t.least("… of the wall, one `MSET` for a batch", 0.40, medians.ratio("both", "wall", speed), "%", "both", "wall")
    life, trim = m("both", "redisMicrosPerTask"), m("both", "redisTrimMicrosPerTask")
    t.most("Redis' CPU for a task's whole life, until it is finished", 8, life, "µs", "both",
           shown=None if None in (life, trim) else f"{number(life)} µs; {number(trim)} more when it is removed")
    t.most("… the same by the C client, 64 tasks a call", 10, m("layout64", "redisMicrosPerTask"), "µs", "layout64")
    t.most("calls of Redis a task", 0.05, m("both", "redisCallsPerTask"), "", "both")
    t.most("CPU of host and worker a task", 6, m("both", "cpuMicrosPerTask"), "µs", "both")
    t.least("a queue that was full beforehand, drained", 130_000, m("drain", speed), "tasks/s", "drain")
    t.least("HTTP, batches of 1,000", 100_000, m("httpBatch", speed), "tasks/s", "httpBatch")
    t.least("HTTP, one task a request, 64 connections", 40_000, m("httpSubmit", speed), "requests/s", "httpSubmit")
    t.least("… with 10,000 long-polls open", 25_000, m("parked", speed), "requests/s", "parked")
    t.most("from submission to COMPLETED at 100 a second, median", 0.6, m("latency", "p50Millis"), "ms", "latency")
    t.most("… 99 of 100", 2, m("latency", "p99Millis"), "ms", "latency")
    pending = m("submit", "bytesPerPendingTask")
    t.most("memory of a waiting task in Redis", 420, pending, "bytes", "submit")
    t.most("… of a finished one with result and its place in the list", 500, m("drain", "bytesPerFinishedTask"), "bytes", "drain")
    t.most("idle host of 10 types, of one core", 0.002, share(m("idle", "hostCorePercent")), "%", "idle",
           shown=None if m("idle", "hostCorePercent") is None else f"{number(m('idle', 'hostCorePercent'))} %")
    t.most("… calls of Redis", 2, m("idle", "redisCallsPerSecond"), "a second", "idle")
    for what, goal, field in (("… memory of the host", 30, "hostRSSBytes"), ("… of a worker", 25, "workerRSSBytes")):
        value = m("idle", field)
        t.most(what, goal, None if value is None else value / MEBI, "MiB", "idle")
    millions(t, medians, waiting)
    t.most("`processes: 8, threads: 1` loses to `processes: 1, threads: 8`", 0.25, loss(medians.ratio("isolated", "shared", speed)), "%",
           "isolated", "shared")
    t.most("a type loses beside another whose tasks take 50 ms", 0.10, loss(medians.ratio("besideSlow", "both", speed)), "%",
           "besideSlow", "both")
    t.least("params of 2 KiB, results of 8 KiB", 15_000, m("documents", speed), "tasks/s", "documents")
    longest, ping = m("large", "longestMillis"), [m("large", "ping", field) for field in ("p99Millis", "maxMillis")]
    t.most("256 tasks of 1 MiB: longest that Redis did one thing, by its own clock", 20, longest, "ms", "large",
           shown=f"{number(longest)} ms; a ping beside it: {number(ping[0])} ms in 99 of 100, {number(ping[1])} at worst")
    return ["| what | goal | measured | |", "|---|---|---|---|"] + t.rows


def share(value):
    return None if value is None else value / 100


def millions(t, medians, waiting):
    m, speed = medians.of, "tasksPerSecond"
    for what, mine, bare, empty in (("submit", "submitMillions", "submit", "submit"), ("take", "takeMillions", "take", "take")):
        full, direct = m("wallMillions", "full", bare, speed), None
        value = m(mine, speed)
        if value and full:
            direct = value / full
        shown = None
        mine_kept = value / m(empty, speed) if value and m(empty, speed) else None
        bare_kept = full / m("wallMillions", "empty", bare, speed) if full else None
        if direct is not None:
            shown = f"{percent(direct)} of bare; it keeps {percent(mine_kept)} of its speed on an empty Redis, bare {percent(bare_kept)}"
        commands = "`MSET` + `RPUSH`" if what == "submit" else "`LRANGE` + `MGET` + `LTRIM`"
        t.least(f"with {waiting:,} waiting, {what}: of bare {commands}", 0.85, direct, "%", mine, "wallMillions", shown=shown)
