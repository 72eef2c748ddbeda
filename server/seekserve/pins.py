"""Which commit of a model is served: the one that is named, else the one that was fetched first.

That one is kept in STATE_DIR/models.json and asked for from then on; once the cache holds it whole the
engine does not ask the hub for anything. A branch that moves changes no weights by itself: a new commit
is taken with --update-models.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from seekserve import hub
from seekserve.engine.engine import Snapshot, State
from seekserve.errors import ConfigError
from seekserve.log import Log
from seekserve.plan.revision import CODE, COMMIT, plain, refuse_unpinned_code
from seekserve.secretfiles import hub_token
from seekserve.settings import EngineSettings, Flag

FILE = "models.json"
OFFLINE = "HF_HUB_OFFLINE"
TOKEN_PATH = "HF_TOKEN_PATH"  # noqa: S105  # the variable that huggingface_hub goes by


class Pins:
    """Told of an engine's settings before it starts, and `heard` when it is ready."""

    def __init__(
        self, state_dir: Path, environ: Mapping[str, str], log: Log, update: bool = False
    ) -> None:
        self._path, self._environ, self._log = state_dir / FILE, environ, log
        self._update, self._token = update, hub_token(environ)
        self._fetching: dict[str, Path] = {}

    def pinned(self, settings: EngineSettings, repo: str, code: bool = False) -> EngineSettings:
        """The settings with the commit that is to be served, and offline where nothing is missing; else
        with where the hub's token lies, if it came as a file.

        `code` says that the engine will run the repository's own code. Raises ConfigError.
        """
        if repo == "demo" or os.path.exists(os.path.expanduser(repo)):
            return settings
        pinned = self._pinned(settings, repo, code)
        if not self._token or OFFLINE in pinned.env:
            return pinned
        env = {TOKEN_PATH: str(self._token)} | pinned.env
        return pinned.model_copy(update={"env": env})

    def _pinned(self, settings: EngineSettings, repo: str, code: bool) -> EngineSettings:
        args = _all_args(settings) | ({CODE: True} if code else {})
        refuse_unpinned_code(repo, settings.revision, args)
        environ = dict(self._environ) | settings.env
        elsewhere = environ.get("VLLM_USE_MODELSCOPE", "0") not in ("", "0")
        if elsewhere or "revision" in args or not hub.REPOSITORY.fullmatch(repo):
            return settings
        cache = hub.cache_of(environ)
        commit, source = self._commit(settings, repo, cache)
        if not commit:
            self._fetching[repo] = cache
        offline = bool(commit) and "download-dir" not in args and hub.is_whole(cache, repo, commit)
        self._log.event(
            "model", repo=repo, revision=commit or "main", source=source, offline=offline
        )
        return _with(settings, repo, commit, offline and OFFLINE not in environ)

    def heard(self, snapshot: Snapshot) -> None:
        """Of an engine that is ready: what it fetched is what is served from now on."""
        if snapshot.state is not State.READY:
            return
        for repo, cache in list(self._fetching.items()):
            del self._fetching[repo]
            if commit := hub.held(cache, repo):
                self._keep(repo, commit)

    def _commit(self, settings: EngineSettings, repo: str, cache: Path) -> tuple[str, str]:
        if settings.revision:
            return settings.revision, "named"
        if self._update:
            return "", "to be fetched"
        kept, cached = self._kept().get(repo, ""), hub.held(cache, repo)
        if kept:
            if cached not in ("", kept):
                self._log.event("model_moved", repo=repo, newer=cached, take="--update-models")
            return kept, "kept"
        if cached and hub.is_whole(cache, repo, cached):
            self._keep(repo, cached)
            return cached, "cache"
        return "", "to be fetched"

    def _kept(self) -> dict[str, str]:
        try:
            told = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._unusable() from error
        if not isinstance(told, dict) or not all(COMMIT.fullmatch(str(v)) for v in told.values()):
            raise self._unusable()
        return told

    def _keep(self, repo: str, commit: str) -> None:
        """Not being able to is no reason not to serve: it is said, and tried again at the next start."""
        try:
            page = json.dumps(self._kept() | {repo: commit}, indent=1, sort_keys=True)
            fresh = self._path.with_suffix(f".{os.getpid()}")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
                file.write(page + "\n")
            fresh.replace(self._path)
        except (OSError, ConfigError) as error:
            why = error.message if isinstance(error, ConfigError) else error.strerror
            self._log.event("model_not_kept", repo=repo, revision=commit, cause=why)
            return
        self._log.event("model_kept", repo=repo, revision=commit)

    def _unusable(self) -> ConfigError:
        return ConfigError(
            f"{self._path}, which keeps the models' commits, cannot be read or is damaged.",
            "Mend it, or move it away: the commits in Hugging Face's cache are then kept anew.",
        )


def _all_args(settings: EngineSettings) -> dict[str, Flag]:
    """Of every platform, whichever this is: what is refused is refused everywhere."""
    parts = [settings.args, *(overlay.args for overlay in settings.platforms.values())]
    args: dict[str, Flag] = {}
    for part in map(plain, parts):
        args |= part | ({CODE: True} if args.get(CODE) else {})
    return args


def _with(settings: EngineSettings, repo: str, commit: str, offline: bool) -> EngineSettings:
    changed: dict[str, object] = {"revision": commit}
    if offline:
        changed["env"] = settings.env | {OFFLINE: "1"}
        if "served-model-name" not in _all_args(settings):
            # offline vLLM goes by the snapshot's folder, and would call the model that
            changed["served_as"] = settings.served_as or (repo,)
    return settings.model_copy(update=changed)
