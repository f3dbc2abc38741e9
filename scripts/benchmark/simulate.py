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
LIMIT = 500                                  # finished tasks that each type keeps while trimming is looked at


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


def watch(server, simulated):
    """The share of Redis' thread that the fleet takes as it is, and then how long takes need beside it."""
    redis, counts = server.connect(), simulated.counts
    before, began, micros, own = counts.copy(), time.monotonic(), redis.micros(), time.thread_time()
    simulated.run(SECONDS)
    took = time.monotonic() - began
    share, own = (redis.micros() - micros) / 1e6 / took, (time.thread_time() - own) / took
    done = {name: (counts[name] - before[name]) / took for name in ("beats", "completed", "trims")}
    with Probe(server, simulated) as probe:
        simulated.run(SECONDS)
    return {"share": share, "ownShare": own, "beatsPerSecond": done["beats"], "tasksPerSecond": done["completed"],
            "trimsPerSecond": done["trims"]} | probe.takes


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
        simulated.run(2.5)
        connections, used = (server.connect().info("clients")["connected_clients"], server.connect().info("memory"))
        result = {"hosts": hosts, "connections": int(connections), "connectionBytes": int(used["mem_clients_normal"]) / int(connections)}
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
        is_over = simulated.run_until(lambda: not simulated.dead, fleet.LEASE + 30)
    return {
        "dead": count, "held": held, "found": is_over, "reapCalls": simulated.counts["reaps"], "leases": 2 * count,
        "lastAfter": max(simulated.reaped, default=died) - died, "sweep": probe.takes}


def costs(server, simulated):
    calls, host = simulated.calls, simulated.hosts[0]
    beat = calls.heartbeat(host.id, simulated.types, [(host.worker.id, host.worker.batch, "")])
    reap, second = reap_costs(server, calls, simulated.random)
    return {
        "beatMicros": cost(server, [beat] * 100), "namesMicros": cost(server, [calls.names()] * 20), "reapMicros": reap,
        "secondReapMicros": second,
        "retainMicros": cost(server, [calls.retain("type0", "done", 1_000_000)] * 50)}


def layout_costs():
    """CPU µs a task in its whole life, by how many tasks a call carries."""
    bench.build()
    return {size: bench.c_client("layout", min(300_000, 20_000 * size), size)["redisMicrosPerTask"] for size in (1, 4, 16, 64, 256)}


# MARK: The document


def fleet_table(results):
    rows = [
        "| | " + " | ".join(f"{result['hosts']:,}" for result in results) + " |", "|---|" + "---|" * len(results)]

    def row(what, say):
        rows.append(f"| {what} | " + " | ".join(say(result) for result in results) + " |")

    def waits(phase):
        return f"{number(phase['p50Millis'])}, {number(phase['p99Millis'])} ms"

    row("connections", lambda one: f"{one['connections']:,}")
    row("memory of one in Redis", lambda one: f"{number(one['connectionBytes'] / 1024)} KiB")
    row("one heartbeat costs Redis", lambda one: f"{number(one['beatMicros'])} µs")
    row("heartbeats a second that came through", lambda one: number(one["idle"]["beatsPerSecond"]))
    row("Redis' thread, nothing to do", lambda one: percent(one["idle"]["share"]))
    row(f"Redis' thread, {RATE:,} tasks/s", lambda one: percent(one["busy"]["share"]))
    row("… the simulation's own thread", lambda one: percent(one["busy"]["ownShare"]))
    row("… tasks a second that came through", lambda one: number(one["busy"]["tasksPerSecond"]))
    row("from submitting to having it, nothing else to do: median, 99 of 100", lambda one: waits(one["idle"]))
    row(f"… at {RATE:,} tasks/s", lambda one: waits(one["busy"]))
    row("… while the leases of the dead are taken", lambda one: waits(one["sweep"]))
    row("hosts killed; tasks in their hands", lambda one: f"{one['dead']}; {one['held']}")
    row("last lease taken after", lambda one: f"{number(one['lastAfter'])} s" if one["found"] else "not all")
    row("calls of `reap` for the leases", lambda one: f"{one['reapCalls']:,} for {one['leases']:,}")
    row("one such call; one that comes second", lambda one: f"{number(one['reapMicros'])} µs; {number(one['secondReapMicros'])} µs")
    row("tasks lost", lambda one: f"{one['lost']}")
    row("reading types and hosts, every 10 s", lambda one: f"{number(one['namesMicros'])} µs")
    row("one `retain` that finds nothing to do", lambda one: f"{number(one['retainMicros'])} µs")
    row(f"Redis' thread, {RATE:,} tasks/s, all ten finished lists at their limit", lambda one: percent(one["trimming"]["share"]))
    row("… calls of `retain` a second", lambda one: number(one["trimming"]["trimsPerSecond"]))
    return rows


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
        "### Hosts, simulated\n\n" + "\n".join(fleet_table(said["fleets"]))]
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
    bench.end_on_signals()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fleets = []
    sizes = [int(word) for word in options.hosts.split(",")] if options.hosts else [10, 100] if options.quick else [10, 100, 300, 1000]
    for hosts in sizes:
        bench.say(f"{hosts} hosts")
        fleets.append(simulate(hosts, options.seed))
        bench.say(json.dumps(fleets[-1]))
    said = {"machine": bench.machine(), "seed": options.seed, "layout": layout_costs(), "fleets": fleets}
    (bench.BUILT / "scale.json").write_text(json.dumps(said, indent=1))
    write(said, bench.BUILT if options.quick or options.hosts else bench.ROOT / "docs")


if __name__ == "__main__":
    main()
