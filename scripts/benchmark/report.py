# SPDX-License-Identifier: Apache-2.0
"""Writes what was measured into a document, between two marker lines; what stands around them stays."""
import pathlib

import goals
import plots
from medians import Medians, number, times

BEGIN = "<!-- measured: from here to the other mark everything is written by {program}, and is replaced by its next run -->"
NEVER_FULL = 0.05                            # of the time no more jobs were allowed: the submitter was the limit
END = "<!-- measured: end -->"


def line(result):
    """A result in a few words, for whoever watches."""
    words = []
    for field, unit in (("tasksPerSecond", "tasks/s"), ("redisMicrosPerTask", "µs Redis"), ("cpuMicrosPerTask", "µs host and worker"),
                        ("p50Millis", "ms"), ("p99Millis", "ms in 99 of 100"), ("hostCorePercent", "% of a core"),
                        ("longestMillis", "ms at longest")):
        if isinstance(result.get(field), (int, float)):
            words.append(f"{number(result[field])} {unit}")
    for name in ("empty", "full"):
        for stage in ("submit", "take"):
            if name in result:
                words.append(f"{name} {stage} {number(result[name][stage]['tasksPerSecond'])}/s")
    return ", ".join(words) or str(result)


def replace(path, program, block):
    """Puts the block between the marks of the document, or makes one of it."""
    begin = BEGIN.format(program=program)
    text = path.read_text() if path.exists() else f"{begin}\n{END}\n"
    before, mark, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{path} has lost its marks: {begin} and {END}")
    path.write_text(f"{before}{begin}\n\n{block.strip()}\n\n{END}{after}")


def machine_text(machine):
    return (f"{machine['cores']} cores ({machine['cpu']}), {machine['system']}, Linux {machine['kernel']}, Redis {machine['redis']} "
            f"(append-only file, `everysec`, Unix socket), {machine['date']}, commit {machine['commit']}; load average {machine['load']:g} when it began")


def write(said, directory):
    directory.mkdir(parents=True, exist_ok=True)
    medians = Medians(said)
    rounds = f"Medians of {len(said['rounds'])} rounds" if len(said["rounds"]) > 1 else "One round"
    parts = [f"{machine_text(said['machine'])}. {rounds}."]
    if said["isQuick"]:
        parts.append("**A short trial: few tasks, one round. It says that everything runs, not how fast.**")
    parts.append("### Goals\n\n" + "\n".join(goals.table(medians, said["waiting"])))
    parts.append("### Walls\n\n" + "\n".join(walls(medians)))
    peers = peer_names(medians)
    if peers:
        parts.append("### Peers\n\n" + "\n".join(peer_table(medians, peers, said["missing"])))
    parts += images(medians, peers, directory)
    replace(directory / "performance.md", "scripts/bench", "\n\n".join(parts))
    print(f"wrote {directory / 'performance.md'}")


def walls(medians):
    rows = ["| | tasks/s | Roost has | Redis µs a task | Roost needs |", "|---|---|---|---|---|"]
    for name, label in (("wall", "wall: `MSET` for a whole batch, nothing else"),
                        ("layout", "C client: Roost's layout and scripts, 256 a call"), ("layout64", "the same, 64 a call"),
                        ("both", "**Roost**")):
        rows.append(
            f"| {label} | {number(medians.of(name, 'tasksPerSecond'))} | {times(medians.ratio('both', name, 'tasksPerSecond'))} | "
            f"{number(medians.of(name, 'redisMicrosPerTask'))} | {times(medians.ratio('both', name, 'redisMicrosPerTask'))} |")
    return rows


def peer_names(medians):
    names = {name for one in medians.rounds for name in one["peers"]}
    return sorted(names, key=lambda name: -(medians.peer(name, "tasksPerSecond") or 0))


def peer_table(medians, names, missing):
    rows = ["| | tasks/s | Roost has | Redis µs a task | Roost needs | ms at 100 a second: median, 99 of 100 | Roost needs |",
            "|---|---|---|---|---|---|---|"]

    def row(label, speed, fast, micros, cpu, p50, p99, slow):
        rows.append(f"| {label} | {speed} | {fast} | {micros} | {cpu} | {p50}, {p99} | {slow} |")

    m = medians.of
    row("**Roost**", number(m("both", "tasksPerSecond")), "1", number(m("both", "redisMicrosPerTask")), "1",
        number(m("latency", "p50Millis")), number(m("latency", "p99Millis")), "1")
    settings, failed = [], [f"{name}: {reason}" for name, reason in missing.items()]
    for name in names:
        label, speed = medians.peer(name, "name"), medians.peer(name, "tasksPerSecond")
        if speed is None:
            failed.append(f"{name}: {medians.peer(name, 'failed')}")
            continue
        row(f"{label} {medians.peer(name, 'version')}", number(speed), times(medians.peer_ratio(name, "tasksPerSecond")),
            number(medians.peer(name, "redisMicrosPerTask")), times(medians.peer_ratio(name, "redisMicrosPerTask")),
            number(medians.peer(name, "p50Millis")), number(medians.peer(name, "p99Millis")),
            f"{times(medians.peer_ratio(name, 'p50Millis'))}, {times(medians.peer_ratio(name, 'p99Millis'))}")
        settings.append(f"{label}: {medians.peer(name, 'settings')}")
    rows += ["", "How they were set up. " + ". ".join(settings) + "."]
    slow = [medians.peer(name, "name") for name in names if (1 if (full := medians.peer(name, "fullShare")) is None else full) < NEVER_FULL]
    if slow:
        rows += ["", "Took jobs as fast as one process submitted them: " + ", ".join(slow) + "."]
    if failed:
        rows += ["", "Not measured: " + "; ".join(failed) + "."]
    return rows


def images(medians, names, directory):
    """Writes the plots; returns the lines that show them."""
    labels = {name: medians.peer(name, "name") or name for name in names}
    own = [("Roost", "roost", "both"), ("C, same layout", "wall", "layout"), ("wall: MSET", "wall", "wall")]

    def rows(field, with_walls=True):
        found = [(label, kind, medians.of(name, field), None) for label, kind, name in own if with_walls or kind == "roost"]
        found += [(labels[name], "peer", medians.peer(name, field), None) for name in names]
        return [row for row in found if row[2]]

    slow = [("Roost", "roost", medians.of("latency", "p50Millis"), medians.of("latency", "p99Millis"))]
    slow += [(labels[name], "peer", medians.peer(name, "p50Millis"), medians.peer(name, "p99Millis")) for name in names]
    slow = [row for row in slow if row[2]]
    plots_ = {
        "throughput": ("Submit and execute at once", "tasks a second", sorted(rows("tasksPerSecond"), key=lambda row: -row[2]),
                       "More is better. Params and results of about 100 bytes; all on the same machine."),
        "redis-cpu": ("What a task costs Redis in its whole life", "CPU µs of Redis' main thread a task",
                      sorted(rows("redisMicrosPerTask"), key=lambda row: row[2]), "Less is better. Systems without Redis are left out."),
        "latency": ("From submission to execution at 100 tasks a second", "milliseconds", sorted(slow, key=lambda row: row[2]),
                    "Less is better. Dark to the median, light to 99 of 100. Roost: until COMPLETED; the others: until the job has run."),
    }
    shown = []
    for name, (title, unit, data, note) in plots_.items():
        picture = plots.bars(title, unit, data, note) if data else None
        if picture:
            path = pathlib.Path("images") / f"{name}.svg"
            (directory / "images").mkdir(exist_ok=True)
            (directory / path).write_text(picture)
            shown.append(f"![{title}]({path})")
    return ["\n".join(shown)] if shown else []
