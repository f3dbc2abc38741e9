# SPDX-License-Identifier: Apache-2.0
"""Measures Roost, the C clients and the peers in turn, and writes docs/performance.md. Started by scripts/bench."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import report
import scripts
import servers
from servers import Failed, ROOST, ROOT, SCRIPTS

HERE = pathlib.Path(__file__).resolve().parent
BUILT = ROOT / ".build/bench"
PORT = int(os.environ.get("PORT", "7491"))

# What each needs: from PyPI, or which programs. Versions are pinned, so that two runs measure the same.
PEERS = {
    "celery": ["celery[redis]==5.7.0"], "rq": ["rq==2.12.0"], "dramatiq": ["dramatiq[redis]==2.2.1"],
    "huey": ["huey[redis]==3.5.4"], "taskiq": ["taskiq==0.13.0", "taskiq-redis==1.2.4"], "arq": ["arq==0.28.0"],
    "bullmq": ["bullmq==3.4.4"], "sidekiq": ("ruby", "sidekiq"), "gearmand": ("gearmand", "cc"),
    "beanstalkd": ("beanstalkd", "cc"),
}
WITHOUT_REDIS = ("gearmand", "beanstalkd")
MILLIONS = 13_000_000                          # tasks that wait in the long form; see millions()
MEMORY = 1400                                  # bytes that must be free for each of them


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures Roost on this machine beside C clients and other task queues, in turn, "
        "and writes the medians and ratios to docs/performance.md (--quick: to .build/bench/performance.md).")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "3")), help="default: ROUNDS, or 3")
    parser.add_argument("--quick", action="store_true", help="one round of few tasks without peers, for a look; docs stay as they are")
    parser.add_argument("--no-peers", action="store_true", help="Roost and the C clients alone")
    parser.add_argument("--long", type=int, nargs="?", const=MILLIONS, metavar="N",
                        help="with 13 million (or N) waiting tasks too, which need about 18 GB of memory")
    parser.add_argument("--only", metavar="NAME,...", help="only these measurements, in one round; docs stay as they are")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the document of the last run again")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.no_peers = 1, True
    if options.only:
        options.rounds = 1
    return options


# MARK: What is measured


def roost(stage, *more, seconds=120):
    stages = servers.run_json([ROOST, "bench", "--json", "--stages", stage, *more], seconds)["stages"]
    if stage not in stages:
        raise Failed("it has no such stage")
    return stages[stage]


def c_client(name, *more, seconds=60, settings=()):
    with servers.Server(*settings) as redis:
        if name == "layout":
            return servers.run_json([BUILT / "layout", redis.socket, BUILT / "scripts", *more], seconds)["both"]
        return servers.run_json([BUILT / "wall", redis.socket, *more], seconds)


def large():
    return servers.run_json([sys.executable, HERE / "large.py", servers.free_port(PORT)], 120)


def peer(name, seconds):
    work = tempfile.mkdtemp(prefix="roost-peer.")
    environment = os.environ | {
        "BENCH_WORK": work, "BENCH_REDIS": "", "BENCH_PORT": str(servers.free_port(PORT)), "PYTHONPATH": str(HERE / "peers"),
        "PYTHONDONTWRITEBYTECODE": "1"}
    python = sys.executable if isinstance(PEERS[name], tuple) else BUILT / "venvs" / name / "bin/python"
    words = [python, HERE / "peers/measure.py", f"with_{name}", seconds]
    try:
        if name in WITHOUT_REDIS:
            return servers.run_json(words, 60, env=environment)
        with servers.Server() as redis:
            return servers.run_json(words, 60, env=environment | {"BENCH_REDIS": redis.socket})
    finally:
        shutil.rmtree(work, ignore_errors=True)


def measurements(options):
    """Of one round, in turn: name and what to call."""
    tasks = 30_000 if options.quick else 300_000
    slow = 10_000 if options.quick else 60_000
    parked = 1_000 if options.quick else 10_000
    return {
        "wall": lambda: c_client("wall", tasks)["both"],
        "layout": lambda: c_client("layout", tasks),
        "both": lambda: roost("both", "--tasks", tasks),
        "layout64": lambda: c_client("layout", tasks, 64),
        "submit": lambda: roost("submit", "--tasks", tasks),
        "take": lambda: roost("take", "--tasks", tasks),
        "drain": lambda: roost("drain", "--tasks", tasks),
        "httpBatch": lambda: roost("httpBatch", "--tasks", tasks),
        "httpSubmit": lambda: roost("httpSubmit", "--tasks", tasks // 2),
        "parked": lambda: roost("httpSubmit", "--tasks", tasks // 2, "--parked", parked),
        "latency": lambda: roost("latency"),
        "idle": lambda: roost("idle"),
        "shared": lambda: roost("both", "--tasks", slow, "--processes", 1, "--threads", 8),
        "isolated": lambda: roost("both", "--tasks", slow, "--processes", 8, "--threads", 1),
        "besideSlow": lambda: roost("both", "--tasks", tasks, "--slow"),
        "documents": lambda: roost("both", "--tasks", slow, "--params", 2048, "--result", 8192),
        "large": large,
    }


def millions(waiting):
    """Measurements of the long form, made once.

    Redis enlarges the table of its keys step by step when there are 2^23 of them. At 13 million tasks that is over, however many steps a
    task makes, and the next is far. It would wait while Redis rewrites the append-only file, so nothing is rewritten.
    """
    settings = ("--auto-aof-rewrite-percentage", "0")

    def above(stage):
        with servers.Server(*settings) as redis:
            return roost(stage, "--tasks", 500_000, "--backlog", waiting, "--redis", f"unix://{redis.socket}", seconds=500)

    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    if free < waiting * MEMORY:
        reason = f"only {free >> 30} GB of memory are free, {waiting * MEMORY >> 30} are needed"
        return dict.fromkeys(("wallMillions", "submitMillions", "takeMillions"), lambda: fail(reason))
    return {
        "wallMillions": lambda: c_client("wall", 500_000, 256, waiting, seconds=300, settings=settings),
        "submitMillions": lambda: above("submit"),
        "takeMillions": lambda: above("take"),
    }


def fail(reason):
    raise Failed(reason)


def attempt(name, call):
    """The result, or {"failed": reason}: one that fails or hangs does not end the run."""
    began = time.monotonic()
    try:
        result = call()
        told = report.line(result)
    except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        result = {"failed": str(error) or type(error).__name__}
        told = f"failed: {result['failed']}"
    say(f"{name:<14} {told}  ({time.monotonic() - began:.0f} s)")
    return result


# MARK: Setting up


def build():
    (BUILT / "scripts").mkdir(parents=True, exist_ok=True)
    for path in SCRIPTS.glob("*.lua"):
        if path.stem in scripts.PARTS:
            continue
        (BUILT / "scripts" / path.name).write_text(scripts.text(path.stem))
    for name in ("wall", "layout"):
        servers.run(["cc", "-O2", "-o", BUILT / name, HERE / f"{name}.c", "-lhiredis", "-lpthread"], 60)


def install_peers():
    """Returns the peers that can run, and why the others cannot."""
    ready, missing = [], {}
    for name, needs in PEERS.items():
        if isinstance(needs, tuple):
            absent = [program for program in needs if not shutil.which(program)]
            if absent:
                missing[name] = f"{' and '.join(absent)} is not installed"
            else:
                ready.append(name)
            continue
        directory, mark = BUILT / "venvs" / name, BUILT / "venvs" / name / "installed.txt"
        if not mark.exists() or mark.read_text() != "\n".join(needs):
            say(f"installing {' '.join(needs)}")
            try:
                servers.run([sys.executable, "-m", "venv", "--clear", directory], 120)
                servers.run([directory / "bin/pip", "--quiet", "--disable-pip-version-check", "install", *needs], 300)
                mark.write_text("\n".join(needs))
            except Failed as failure:
                missing[name] = f"cannot be installed: {failure}"
                say(f"{name} {missing[name]}")
                continue
        ready.append(name)
    return ready, missing


def machine():
    def output(*words):
        return subprocess.run(words, capture_output=True, text=True, cwd=ROOT).stdout.strip()

    with open("/proc/cpuinfo") as file:
        cpu = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")
    with open("/etc/os-release") as file:
        system = next((line.partition("=")[2].strip().strip('"') for line in file if line.startswith("PRETTY_NAME")), "Linux")
    commit = output("git", "rev-parse", "--short=10", "HEAD")
    if output("git", "status", "--porcelain", "--", "Sources", "Plugins", "scripts"):
        commit += " with changes"
    return {
        "cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "system": system,
        "redis": output("redis-server", "--version").split("v=")[-1].split()[0],
        "date": f"{datetime.date.today()}", "commit": commit, "load": round(os.getloadavg()[0], 1),
    }


def main():
    options = arguments()
    servers.end_on_signals()
    results = BUILT / ("trial.json" if options.quick or options.only else "results.json")
    if options.report:
        return report.write(json.loads(results.read_text()), ROOT / "docs")
    build()
    ready, missing = ([], {}) if options.no_peers else install_peers()
    rounds = []
    said = {"machine": machine(), "rounds": rounds, "once": {}, "missing": missing, "isQuick": options.quick,
            "waiting": options.long or MILLIONS}
    wanted = options.only.split(",") if options.only else None

    def chosen(calls):
        return {name: call for name, call in calls.items() if wanted is None or name in wanted}

    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        one = {"peers": {}}
        rounds.append(one)
        for name, call in chosen(measurements(options)).items():
            one[name] = attempt(name, call)
        for name, call in chosen({name: lambda name=name: peer(name, 5) for name in ready}).items():
            one["peers"][name] = attempt(name, call)
        results.write_text(json.dumps(said, indent=1))
    if options.long:
        for name, call in chosen(millions(options.long)).items():
            said["once"][name] = attempt(name, call)
    results.write_text(json.dumps(said, indent=1))
    report.write(said, BUILT if options.quick or options.only else ROOT / "docs")


if __name__ == "__main__":
    main()
