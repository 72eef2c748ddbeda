"""Which repository an engine loads and which commit of it; code from there only by its commit. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from seekserve.errors import ConfigError
from seekserve.plan.formats import alike
from seekserve.plan.wish import Plan
from seekserve.settings import Flag

COMMIT = re.compile(r"[0-9a-f]{40}")
CODE = "trust-remote-code"


def repository(plan: Plan) -> str:
    name = alike(plan.weights, plan.subject.variants)
    if name:
        return plan.subject.variants[name].repo
    return plan.subject.folder or plan.subject.name


def pinned(plan: Plan) -> str:
    """The commit that the catalog names for these weights, or ""."""
    name = alike(plan.weights, plan.subject.variants)
    return plan.subject.variants[name].revision if name else ""


def revision_flags(revision: str, args: Mapping[str, Flag]) -> dict[str, Flag]:
    """The weights', the tokenizer's and the code's; what `args` say themselves is left to them."""
    if not revision:
        return {}
    said = plain(args)
    names = ["revision", "code-revision"]
    if "tokenizer" not in said:  # another repository's commits are others
        names.append("tokenizer-revision")
    return {name: revision for name in names if name not in said}


def refuse_unpinned_code(model: str, revision: str, args: Mapping[str, Flag]) -> None:
    """Raises ConfigError where the engine would run code that its owner can change at any time."""
    said = plain(args)
    if not said.get(CODE):
        return
    given = revision_flags(revision, args) | said
    wanted = ["revision", "code-revision"]
    wanted += ["tokenizer-revision"] if "tokenizer" in said else []
    loose = [name for name in wanted if not COMMIT.fullmatch(str(given.get(name, "")))]
    if loose:
        raise ConfigError(
            f"--{CODE} runs code out of {model} here, and {' and '.join(loose)} is not a commit: "
            "whoever can write to that repository could run what they like.",
            "Read the code, then name that commit, 40 hexadecimal digits, as engine.revision in the "
            f"tier; or leave {CODE} out: no model of the catalog needs it.",
        )


def plain(args: Mapping[str, Flag]) -> dict[str, Flag]:
    """Flags by the names vLLM reads them by, which takes underscores for dashes."""
    return {name.replace("_", "-"): value for name, value in args.items()}
