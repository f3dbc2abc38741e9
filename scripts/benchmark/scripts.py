# SPDX-License-Identifier: Apache-2.0
"""Roost's scripts as Redis gets them: put together as Sources/TaskStore/Script.swift does it."""
import re

from servers import SCRIPTS


def text(name):
    """A whole script: first line, what it stands behind, the rest. One that makes P itself stands alone."""
    source = (SCRIPTS / f"{name}.lua").read_text()
    if re.search(r"^local P\b", source, re.MULTILINE):
        return source
    first, _, rest = source.partition("\n")
    names = ["record", "moves"] if "commit(" in rest else ["record"]
    before = "".join((SCRIPTS / f"{name}.lua").read_text() for name in names)
    return f"{first}\n{before}\n{rest}"
