"""A validation's complaints as lines for people: where in the file, which setting, what is wrong."""

from __future__ import annotations

import yaml
from pydantic import ValidationError


def complaints(error: ValidationError, root: yaml.Node | None = None) -> str:
    """One line per complaint: where in the file, which setting, what is wrong with it."""
    told = []
    for item in error.errors(include_input=False, include_url=False):
        line = line_of(root, item["loc"])
        path = ".".join(str(part) for part in item["loc"])
        unknown = item["type"] == "extra_forbidden"
        what = "there is no such setting" if unknown else item["msg"].removeprefix("Value error, ")
        where = [f"line {line}"] if line and path else []
        told.append("  " + ": ".join([*where, *([path] if path else []), what]))
    return "\n".join(told)


def line_of(root: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """The line where a setting stands, or as near to it as the file goes; 0 without a file."""
    line, node = (root.start_mark.line + 1 if root else 0), root
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
