# SPDX-License-Identifier: Apache-2.0
"""Roost's scripts as Redis gets them: put together as Sources/TaskStore/Script.swift does it."""
import re

from servers import SCRIPTS


def text(name):
    """A whole script: first line, prelude, the rest. One that makes P itself does without the prelude."""
    source = (SCRIPTS / f"{name}.lua").read_text()
    if re.search(r"^local P\b", source, re.MULTILINE):
        return source
    first, _, rest = source.partition("\n")
    return f"{first}\n{(SCRIPTS / 'prelude.lua').read_text()}\n{rest}"
