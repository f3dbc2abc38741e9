# SPDX-License-Identifier: Apache-2.0
"""Roost's scripts as Redis gets them: put together as Sources/TaskStore does it (Script.swift, Prelude.swift)."""
import re

from servers import ROOT, SCRIPTS


def code(text):
    """The text without the lines that are comments."""
    return "\n".join(line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("--"))


def words(text):
    return set(re.findall(r"\w+", text, re.ASCII))


def names(statement):
    """What a statement declares."""
    function = re.match(r"local function (\w+)", statement)
    return {function[1]} if function else words(re.match(r"(?:local ([^=\n]*))?", statement)[1] or "")


def is_whole():
    """Whether TaskStore gives the whole prelude to each script that has one."""
    return not (ROOT / "Sources/TaskStore/Prelude.swift").exists()


def statements():
    """Those of the prelude that stand at the margin, each with the lines that go on with it."""
    found = []
    for line in code((SCRIPTS / "prelude.lua").read_text()).split("\n"):
        if line[0].isspace() or line[0] in "})" or line == "end":
            found[-1] += line + "\n"
        else:
            found.append(line + "\n")
    return found


def text(name):
    """A whole script. One that makes P itself does without the prelude; the others get of it what they name, what that names in
    turn, and what declares nothing."""
    source = (SCRIPTS / f"{name}.lua").read_text()
    if re.search(r"^local P\b", source, re.MULTILINE):
        return source
    first, _, rest = source.partition("\n")
    if is_whole():
        return f"{first}\n{(SCRIPTS / 'prelude.lua').read_text()}\n{rest}"
    wanted, needed = words(code(source)), []
    for statement in reversed(statements()):
        declared = names(statement)
        if not declared or declared & wanted:
            wanted |= words(statement)
            needed.append(statement)
    return first + "\n" + "".join(reversed(needed)) + "\n" + rest
