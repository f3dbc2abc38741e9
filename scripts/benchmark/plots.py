# SPDX-License-Identifier: Apache-2.0
"""Bars as SVG."""
import math
from xml.sax.saxutils import escape

from medians import number

WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM = 820, 190, 130, 26, 62, 42
COLORS = {"roost": "#c2410c", "wall": "#475569", "peer": "#94a3b8", "light": "#cbd5e1"}
FONT = "font-family=\"DejaVu Sans, Verdana, sans-serif\""


def text(x, y, words, size=12, anchor="start", color="#1e293b", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{color}" font-weight="{weight}">'
            f"{escape(words)}</text>")


def bars(title, unit, rows, note):
    """One bar for each row of (label, kind, value, second value or None) on a logarithmic axis.

    A second value, never smaller, goes on from the first in a lighter color.
    """
    rows = [row for row in rows if row[2]]
    if not rows:
        return None
    low = 10 ** math.floor(math.log10(min(row[2] for row in rows)) - 0.001)
    high = max(max(row[2], row[3] or 0) for row in rows)
    decades = max(1, math.ceil(math.log10(high / low) - 0.001))
    height = TOP + ROW * len(rows) + BOTTOM
    scale = (WIDTH - LEFT - RIGHT) / decades

    def x(value):
        return LEFT + scale * math.log10(value / low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', text(16, 26, title, 16, weight="bold"),
        text(16, 45, note, 11, color="#64748b")]
    end = TOP + ROW * len(rows)
    for decade in range(decades + 1):
        value = low * 10 ** decade
        parts.append(f'<line x1="{x(value):.1f}" y1="{TOP}" x2="{x(value):.1f}" y2="{end}" stroke="#e2e8f0"/>')
        parts.append(text(x(value), end + 16, f"{value:,g}", 11, "middle", "#64748b"))
    parts.append(text(LEFT + (WIDTH - LEFT - RIGHT) / 2, end + 34, f"{unit}, logarithmic", 11, "middle", "#64748b"))
    for index, (label, kind, value, second) in enumerate(rows):
        y = TOP + ROW * index
        weight = "bold" if kind == "roost" else "normal"
        parts.append(text(LEFT - 10, y + 17, label, 12, "end", weight=weight))
        if second:
            parts.append(bar(x(value), y, x(second) - x(value), COLORS["light"]))
        parts.append(bar(LEFT, y, x(value) - LEFT, COLORS[kind]))
        said = number(value) + (f" – {number(second)}" if second else "")
        parts.append(text(x(second or value) + 7, y + 17, said, 12, weight=weight))
    return "\n".join(parts + ["</svg>", ""])


def bar(x, y, width, color):
    return f'<rect x="{x:.1f}" y="{y + 5}" width="{max(1.0, width):.1f}" height="{ROW - 9}" fill="{color}"/>'
