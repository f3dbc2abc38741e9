# SPDX-License-Identifier: Apache-2.0
"""Roost's scripts as Redis gets them: put together as Sources/TaskStore/Script.swift does it."""
import re

from servers import SCRIPTS


PARTS = ("record", "moves")                   # what scripts stand behind


def text(name):
    """A whole script: first line, what it stands behind, the rest. One that makes P itself stands alone."""
    source = (SCRIPTS / f"{name}.lua").read_text()
    if re.search(r"^local P\b", source, re.MULTILINE):
        return source
    first, _, rest = source.partition("\n")
    parts = PARTS if re.search(r"^ *commit\(", rest, re.MULTILINE) else PARTS[:1]
    before = "".join((SCRIPTS / f"{part}.lua").read_text() for part in parts)
    return f"{first}\n{before}\n{rest}"
