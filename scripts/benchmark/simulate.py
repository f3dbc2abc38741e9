# SPDX-License-Identifier: Apache-2.0
"""Simulates up to 1,000 hosts on one Redis and writes what they cost it to docs/scale.md. Started by scripts/bench --scale."""
import argparse
import json
import pathlib
import resource
import subprocess
import sys
import time

import fleet
import protocol
import report
import run as bench
import servers
from medians import number, percent

HERE = pathlib.Path(__file__).resolve().parent
TYPES, RATE, SECONDS = 10, 1000, 4
SIZES = [10, 100, 300, 600, 1000]
LIMIT = 500                                  # finished tasks that each type keeps while trimming is looked at
CAME, FULL = 0.9, 0.9                        # the part of all calls that comes through if nothing is at its limit; a full thread
IDLE, SHRUNK = 1000, 8                       # connections; seconds until Redis has given back what they needed to begin


class Probe:
    """How long takes took between entering and leaving."""

    def __init__(self, server, simulated):
        self.server, self.simulated = server, simulated

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "probe.py", self.server.socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *failure):
        self.process.stdin.close()
        if failure[0] or not self.simulated.run_until(lambda: self.process.poll() is not None, 30):
            self.process.kill()
        output = self.process.stdout.read()
        self.takes = json.loads(output) if output else {"p50Millis": None, "p99Millis": None}


def measure(simulated, run):
    """What the fleet needed and got done while `run` was called, and what kept it from more."""
    micros, began = simulated.micros()
    before, own = simulated.counts.copy(), time.thread_time()
    run()
    after, end = simulated.micros()
    took = end - began
    share, own = (after - micros) / 1e6 / took, (time.thread_time() - own) / took
    beats, tasks, trims = ((simulated.counts[name] - before[name]) / took for name in ("beats", "completed", "trims"))
    is_served = beats >= CAME * len(simulated.hosts) and tasks >= CAME * simulated.rate
    need = share * len(simulated.hosts) / max(1, beats)
    limit = "simulation" if own >= FULL else None if is_served else "Redis" if need >= FULL else "simulation"
    if limit:
        bench.say(f"{limit} is at its limit: Redis' thread {percent(share)}, the simulation's {percent(own)}, "
                  f"{number(beats)} heartbeats/s of {len(simulated.hosts)}, {number(tasks)} tasks/s of {simulated.rate}")
    return {"share": share, "need": need, "ownShare": own, "beatsPerSecond": beats, "tasksPerSecond": tasks,
            "trimsPerSecond": trims, "limit": limit}


def watch(server, simulated):
    """The fleet as it is, and then how long takes need beside it."""
    phase = measure(simulated, lambda: simulated.run(SECONDS))
    with Probe(server, simulated) as probe:
        beside = measure(simulated, lambda: simulated.run(SECONDS))
    return phase | {"takes": probe.takes | {"limit": beside["limit"]}}


def connection_bytes():
    """What an idle connection takes in Redis' memory."""
    with servers.Server("--maxclients", "19000") as server:
        redis = server.connect()
        before = int(redis.info("memory")["used_memory"])
        idle = [server.connect() for _ in range(IDLE)]
        for one in idle:
            one.call("PING")
        time.sleep(SHRUNK)
        after = int(redis.info("memory")["used_memory"])
        for one in idle:
            one.close()
        return (after - before) / IDLE


def send(redis, call):
    redis.socket.sendall(call.bytes)
    for _ in range(call.answers):
        redis.reply()


def cost(server, calls):
    """CPU µs of each of the calls, one after the other while nothing else happens."""
    redis = server.connect()
    before = redis.micros()
    for call in calls:
        send(redis, call)
    return (redis.micros() - before) / len(calls)


def least_cost(server, call):
    """The lowest of five rounds, since what else runs on the machine only adds to it."""
    return min(cost(server, [call] * 20) for _ in range(5))


def reap_costs(server, calls, source):
    """CPU µs of taking a lease with a batch of four tasks, and of coming second."""
    redis, workers, host = server.connect(), [protocol.make_id(source) for _ in range(50)], protocol.make_id(source)
    send(redis, calls.register(host, "dying", ["dying"]))
    for turn, worker in enumerate(workers, 1):
        send(redis, calls.submit(host, turn, "dying", 4) + calls.hello(worker) + calls.take(worker, "dying", 1, 4))
    first = cost(server, [calls.reap(worker, "1") for worker in workers])
    return first, cost(server, [calls.reap(worker, "1") for worker in workers])


def simulate(hosts, seed):
    with servers.Server("--maxclients", "19000", "--loglevel", "warning") as server:
        simulated = fleet.Fleet(server, hosts, TYPES, seed)
        simulated.run(4)
        result = {"hosts": hosts, "connections": int(server.connect().info("clients")["connected_clients"])}
        result["idle"] = watch(server, simulated)
        simulated.rate = RATE
        simulated.run(1)
        result["busy"] = watch(server, simulated)
        result |= deaths(server, simulated, max(1, hosts // 20))
        simulated.limit = LIMIT
        simulated.run(3)
        result["trimming"] = watch(server, simulated)
        simulated.limit, simulated.rate = None, 0
        simulated.run_until(lambda: simulated.counts["completed"] >= simulated.counts["submitted"], 60)
        result["lost"] = simulated.counts["submitted"] - completed(server, simulated)
        return result | costs(server, simulated)


def completed(server, simulated):
    redis = server.connect()
    kept_and_trimmed = [redis.call("HMGET", f"{protocol.PREFIX}n:{type_}", "COMPLETED", "done") for type_ in simulated.types]
    return sum(int(number_ or 0) for pair in kept_and_trimmed for number_ in pair)


def deaths(server, simulated, count):
    """Kills hosts under load and waits until the others have found out."""
    simulated.counts["reaps"] = 0
    held = simulated.kill(count)
    with Probe(server, simulated) as probe:
        died = time.monotonic()
        phase = measure(simulated, lambda: simulated.run_until(lambda: not simulated.dead, fleet.LEASE + 30))
    return {
        "dead": count, "held": held, "found": not simulated.dead, "reapCalls": simulated.counts["reaps"], "leases": 2 * count,
        "lastAfter": max(simulated.reaped, default=died) - died, "sweep": phase | {"takes": probe.takes | {"limit": phase["limit"]}}}


def costs(server, simulated):
    calls, host = simulated.calls, simulated.hosts[0]
    beat = calls.heartbeat(host.id, simulated.types, [(host.worker.id, host.worker.batch, "")])
    reap, second = reap_costs(server, calls, simulated.random)
    return {
        "beatMicros": least_cost(server, beat), "namesMicros": least_cost(server, calls.names()), "reapMicros": reap,
        "secondReapMicros": second,
        "retainMicros": least_cost(server, calls.retain("type0", "done", 1_000_000))}


def layout_costs():
    """CPU µs a task in its whole life, by how many tasks a call carries."""
    bench.build()
    return {size: bench.c_client("layout", min(300_000, 20_000 * size), size)["redisMicrosPerTask"] for size in (1, 4, 16, 64, 256)}


# MARK: The document


NO_FIGURE = "(simulation)"


def per_entry(one, first):
    """CPU µs of a heartbeat for each host or worker more than there are in the first fleet."""
    return (one["beatMicros"] - first["beatMicros"]) / (2 * (one["hosts"] - first["hosts"])) if one is not first else None


def fleet_table(results):
    rows = [
        "| | " + " | ".join(f"{result['hosts']:,}" for result in results) + " |", "|---|" + "---|" * len(results)]

    def row(what, say, *phases):
        """The figure of each fleet; none where the simulation was what it shows."""
        cells = [NO_FIGURE if "simulation" in [one[phase]["limit"] for phase in phases] else say(one) for one in results]
        rows.append(f"| {what} | " + " | ".join(cells) + " |")

    def limits(what, phase):
        row(what, lambda one: one[phase]["limit"] or "–")

    def waits(what, phase):
        def say(one):
            takes = one[phase]["takes"]
            return NO_FIGURE if takes["limit"] == "simulation" else f"{number(takes['p50Millis'])}, {number(takes['p99Millis'])} ms"
        row(what, say)

    row("connections", lambda one: f"{one['connections']:,}")
    row("one heartbeat costs Redis", lambda one: f"{number(one['beatMicros'])} µs")
    row(f"… of it for each host and worker more than with {results[0]['hosts']} hosts",
        lambda one: "–" if one is results[0] else f"{number(per_entry(one, results[0]))} µs")
    row("heartbeats a second that came through", lambda one: number(one["idle"]["beatsPerSecond"]))
    limits("at its limit, nothing to do", "idle")
    row("Redis' thread, nothing to do", lambda one: percent(one["idle"]["share"]), "idle")
    row("… if all heartbeats came through", lambda one: percent(one["idle"]["need"]), "idle")
    row("… of it for all hosts' reading types and hosts every ten seconds", lambda one: percent(one["namesMicros"] * one["hosts"] / 1e7))
    limits(f"at its limit, {RATE:,} tasks/s", "busy")
    row("… Redis' thread", lambda one: percent(one["busy"]["share"]), "busy")
    row("… the simulation's own thread", lambda one: percent(one["busy"]["ownShare"]))
    row("… tasks a second that came through", lambda one: number(one["busy"]["tasksPerSecond"]))
    waits("from submitting to having it, nothing else to do: median, 99 of 100", "idle")
    waits(f"… at {RATE:,} tasks/s", "busy")
    waits("… while the leases of the dead are taken", "sweep")
    row("hosts killed; tasks in their hands", lambda one: f"{one['dead']}; {one['held']}")
    limits("at its limit until their leases are taken", "sweep")
    row("last lease taken after", lambda one: f"{number(one['lastAfter'])} s" if one["found"] else "not all", "sweep")
    row("calls of `reap` for each lease", lambda one: number(one["reapCalls"] / one["leases"]), "sweep")
    row("one such call, with a batch of four", lambda one: f"{number(one['reapMicros'])} µs")
    row("… one that comes second", lambda one: f"{number(one['secondReapMicros'])} µs, {percent(one['secondReapMicros'] / one['reapMicros'])}")
    row("tasks lost", lambda one: f"{one['lost']}")
    limits(f"at its limit, {RATE:,} tasks/s, all ten finished lists full", "trimming")
    row("… Redis' thread", lambda one: percent(one["trimming"]["share"]), "trimming")
    row("… of it more than while they fill",
        lambda one: "–" if one["trimming"]["limit"] or one["busy"]["limit"] else percent(one["trimming"]["share"] - one["busy"]["share"]))
    row("… calls of `retain` a second", lambda one: number(one["trimming"]["trimsPerSecond"]), "trimming")
    row("one `retain` that finds nothing to do", lambda one: f"{number(one['retainMicros'])} µs")
    return rows


def growth(results):
    """Where heartbeats fill Redis' thread, by what they needed in the two largest fleets that say something of Redis."""
    points = [(one["hosts"], one["idle"]["need"]) for one in results if one["idle"]["limit"] != "simulation"][-2:]
    if len(points) < 2:
        return "Where heartbeats fill Redis' thread cannot be said: the simulation was too slow."
    (few, low), (many, high) = points
    square = (high / many - low / few) / (many - few)
    linear = low / few - square * few
    if square <= 0 or linear <= 0:
        return f"Where heartbeats fill Redis' thread cannot be said: {few:,} and {many:,} hosts needed {percent(low)} and {percent(high)} of it."
    full = ((linear ** 2 + 4 * square) ** 0.5 - linear) / (2 * square)
    return (f"What {few:,} and {many:,} hosts needed with nothing to do, as a part that grows with their number and one with its "
            f"square, makes heartbeats fill Redis' thread at about **{number(full)} hosts**.")


def notes(said):
    return "\n\n".join([
        f"“At its limit”: something was if fewer than {percent(CAME)} of the heartbeats or tasks that were due came through. It was "
        f"*Redis* if all heartbeats would have needed {percent(FULL)} of its thread or more, by what those cost that came; else the "
        "*simulation*, or the machine under both, was too slow, as it is when the simulation's own thread is at "
        f"{percent(FULL)}. Figures that would say nothing of Redis are then left out: {NO_FIGURE}.",
        growth(said["fleets"]),
        f"A connection that has nothing to do takes {number(said['connectionBytes'] / 1024)} KiB of Redis' memory ({IDLE:,} of them, "
        f"{SHRUNK} s after their last call)."])


def shard_table(layout):
    rows = ["| tasks a call | CPU µs a task | one shard | 2 shards | 4 | 8 | 16 |", "|---|---|---|---|---|---|---|"]
    for size, micros in layout.items():
        cells = " | ".join(number(shards * 1e6 / micros) for shards in (1, 2, 4, 8, 16))
        rows.append(f"| {size} | {number(micros)} | {cells} |")
    return rows


def write(said, directory):
    directory.mkdir(parents=True, exist_ok=True)
    block = [
        f"{report.machine_text(said['machine'])}, seed {said['seed']}.",
        "### Tasks a second, computed from the CPU a task costs Redis\n\n" + "\n".join(shard_table(said["layout"])),
        "### Hosts, simulated\n\n" + "\n".join(fleet_table(said["fleets"])), notes(said)]
    report.replace(directory / "scale.md", "scripts/bench --scale", "\n\n".join(block))
    print(f"wrote {directory / 'scale.md'}")


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench --scale", description="Simulates hosts on one Redis and writes docs/scale.md (--quick: .build/bench/scale.md).")
    parser.add_argument("--scale", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="10 and 100 hosts alone; docs stay as they are")
    parser.add_argument("--hosts", help="other numbers of hosts, as in 10,500; docs stay as they are")
    options = parser.parse_args()
    servers.end_on_signals()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fleets, about = [], bench.machine()
    sizes = [int(word) for word in options.hosts.split(",")] if options.hosts else [10, 100] if options.quick else SIZES
    for hosts in sizes:
        bench.say(f"{hosts} hosts")
        fleets.append(simulate(hosts, options.seed))
        bench.say(json.dumps(fleets[-1]))
    said = {"machine": about, "seed": options.seed, "layout": layout_costs(), "connectionBytes": connection_bytes(),
            "fleets": fleets}
    (bench.BUILT / "scale.json").write_text(json.dumps(said, indent=1))
    write(said, bench.BUILT if options.quick or options.hosts else bench.ROOT / "docs")


if __name__ == "__main__":
    main()
