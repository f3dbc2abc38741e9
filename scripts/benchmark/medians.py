# SPDX-License-Identifier: Apache-2.0
"""Reads medians and ratios out of the results of several rounds, and writes numbers for people."""
import statistics


class Medians:
    def __init__(self, said):
        self.rounds = said["rounds"]
        self.once = said["once"]

    def values(self, name, *path):
        """One value for each round in which the measurement came off."""
        found = []
        for one in self.rounds + [self.once]:
            value = one.get(name)
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            if isinstance(value, (int, float)):
                found.append(value)
        return found

    def of(self, name, *path):
        values = self.values(name, *path)
        return statistics.median(values) if values else None

    def ratio(self, one, other, *path):
        """The median of the ratios of each round."""
        ratios = []
        for round_ in self.rounds:
            pair = [Medians({"rounds": [round_], "once": {}}).of(name, *path) for name in (one, other)]
            if None not in pair and pair[1]:
                ratios.append(pair[0] / pair[1])
        return statistics.median(ratios) if ratios else None

    def peer(self, name, field):
        values = [one["peers"].get(name, {}).get(field) for one in self.rounds]
        values = [value for value in values if value is not None]
        return statistics.median(values) if values and not isinstance(values[0], str) else values[0] if values else None

    def peer_ratio(self, name, field):
        """Roost's figure by that of the peer, the median of the rounds."""
        source = {"p50Millis": "latency", "p99Millis": "latency"}.get(field, "both")
        ratios = []
        for one in self.rounds:
            mine, theirs = one.get(source, {}).get(field), one["peers"].get(name, {}).get(field)
            if mine and theirs:
                ratios.append(mine / theirs)
        return statistics.median(ratios) if ratios else None

    def failure(self, *names):
        for one in self.rounds + [self.once]:
            for name in names:
                reason = one.get(name, {}).get("failed")
                if reason:
                    return reason
        return None


def number(value):
    """Three significant digits."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 999.5:
        digits = len(str(round(size)))
        return f"{round(value, 3 - digits):,.0f}"
    for limit, places in ((100, 0), (10, 1), (1, 2), (0.1, 3)):
        if size >= limit:
            return f"{value:.{places}f}"
    return f"{value:.3g}"


def percent(ratio):
    """A share."""
    if ratio is None:
        return "–"
    return f"{ratio * 100:.0f} %" if ratio >= 0.1 or ratio == 0 else f"{ratio * 100:.2g} %"


def times(ratio):
    return "–" if ratio is None else f"{number(ratio)} ×"
