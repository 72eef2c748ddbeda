"""An order -> systemd units: the server (of one machine, or the head of several), and what joins it. Pure.

The units want seekserve in /opt/seekserve, a user of that name, and secrets in /etc/seekserve/secrets. Exit
code 2 is settings that cannot work: such a server is not started again.
"""

from __future__ import annotations

from collections.abc import Iterable

from seekserve.render.order import Order
from seekserve.render.page import comments, heading, yaml_text

PROGRAM = "/opt/seekserve/bin/seekserve"
FOLDER = "/etc/seekserve"
SERVER, JOINER = "seekserve.service", "seekserve-join.service"
KILLED_AFTER_S = 15  # of the units' own time: what is left is killed then
BACK_OFF = ("Restart=always", "RestartSec=10", "RestartSteps=5", "RestartMaxDelaySec=300")
SYSTEM = "@system-service"
HARDENED = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "PrivateTmp=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    f"SystemCallFilter={SYSTEM}",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
)
INSTALL = (
    "Before the first start, as root, in a checkout of seekserve:\n"
    "  useradd --system --home-dir /var/lib/seekserve --shell /usr/sbin/nologin seekserve\n"
    "  python3 -m venv /opt/seekserve && /opt/seekserve/bin/pip install '.[cuda]'   # or [cpu]\n"
    "  install -d -m 0700 /etc/seekserve/secrets && cd /etc/seekserve/secrets"
)
SECRET = "  (umask 077; for name in {names}; do openssl rand -hex 32 > $name; done)"  # noqa: S105
COPIED = "  (umask 077; scp root@10.0.0.1:$PWD/node_token .)   # the head's own, which it has made"
NOT_SET = (
    "Not set: MemoryDenyWriteExecute, because kernels are compiled at run time; and devices stay visible, "
    "except where there are no accelerators. RestartSteps wants systemd 254: an older one says that it does "
    "not know it, and waits 10 s each time."
)
ELSEWHERE = (
    "Settings of the machine's own go in /etc/seekserve/environment: SEEKSERVE_HOST=0.0.0.0 lets other "
    "machines in; HF_HOME is where models lie (then also ReadWritePaths= of it: systemctl edit seekserve)."
)


def units(ordered: Order) -> dict[str, str]:
    """Paths and texts: the second unit where there are several nodes."""
    files = {SERVER: _server(ordered)}
    if ordered.asked.nodes > 1:
        files[JOINER] = _joiner(ordered)
    if ordered.asked.path:
        said = ordered.tier.model_dump(mode="json", exclude_unset=True)
        files["tier.yaml"] = yaml_text(said)
    return files


def _server(ordered: Order) -> str:
    several = ordered.asked.nodes > 1
    secrets = ("api_key", "ops_token", *(("node_token",) if several else ()))
    what = f"seekserve's tier {ordered.tier.tier}" + (
        ", the head of its nodes." if several else "."
    )
    tier = f"{FOLDER}/tier.yaml" if ordered.asked.path else ordered.tier.tier
    words = f"serve --tier {tier} --host ${{SEEKSERVE_HOST}} --ops ${{SEEKSERVE_OPS}}"
    cluster = f" --nodes {ordered.asked.nodes} --cluster ${{HEAD_ADDRESS}}" if several else ""
    env = ("SEEKSERVE_HOST=127.0.0.1", "SEEKSERVE_OPS=127.0.0.1:9464")
    return _unit(ordered, what, f"{words}{cluster}", secrets, env)


def _joiner(ordered: Order) -> str:
    what = f"A node of seekserve's tier {ordered.tier.tier}: told what to run by the head."
    return _unit(ordered, what, "join ${HEAD_ADDRESS}", ("node_token",), ())


def _unit(
    ordered: Order, what: str, words: str, secrets: tuple[str, ...], env: Iterable[str]
) -> str:
    several = ordered.asked.nodes > 1
    place = (
        "  echo HEAD_ADDRESS=10.0.0.1 > /etc/seekserve/environment   # on the nodes' own network"
    )
    same = ["node_token must be the same on every node."] if several else []
    made = SECRET.format(names=" ".join(secrets)) if "api_key" in secrets else COPIED
    told = "\n".join([INSTALL, made, *([place] if several else [])])
    sections = {
        "Unit": [f"Description={what}", *_order_of_start(ordered)],
        "Service": [*_running(ordered, words, secrets, env), "", *_limits(ordered), *HARDENED],
        "Install": ["WantedBy=multi-user.target"],
    }
    text = "\n\n".join("\n".join([f"[{name}]", *lines]) for name, lines in sections.items())
    return comments(heading(ordered, what, [told, *same, ELSEWHERE, NOT_SET])) + f"\n{text}\n"


def _order_of_start(ordered: Order) -> list[str]:
    """NVIDIA's own daemon makes the devices, which a server without privileges cannot."""
    after = ["network-online.target"]
    after += ["nvidia-persistenced.service"] if ordered.platform.id == "cuda" else []
    return [f"After={' '.join(after)}", f"Wants={' '.join(after)}", "StartLimitIntervalSec=0"]


def _running(ordered: Order, words: str, secrets: Iterable[str], env: Iterable[str]) -> list[str]:
    variables = {name: f"SEEKSERVE_{name.upper()}_FILE" for name in secrets}
    groups = ordered.platform.container.get("group_add", [])
    return [
        "Type=exec",
        f"ExecStart={PROGRAM} {words}",
        *(["ExecReload=/bin/kill -HUP $MAINPID"] if words.startswith("serve") else []),
        "User=seekserve",
        *([f"SupplementaryGroups={' '.join(groups)}"] if groups else []),
        *(f"Environment={one}" for one in env),
        "Environment=SEEKSERVE_STATE_DIR=%S/seekserve HOME=%S/seekserve HF_HOME=%C/seekserve",
        *(f"LoadCredential={name}:{FOLDER}/secrets/{name}" for name in variables),
        *(f"Environment={variable}=%d/{name}" for name, variable in variables.items()),
        f"EnvironmentFile=-{FOLDER}/environment",
        "StateDirectory=seekserve",
        "StateDirectoryMode=0700",
        "CacheDirectory=seekserve",
        *BACK_OFF,
        "RestartPreventExitStatus=2",
        "KillMode=mixed",
        f"TimeoutStopSec={ordered.grace_s + KILLED_AFTER_S}",
    ]


def _limits(ordered: Order) -> list[str]:
    alone = ["PrivateDevices=yes"] if ordered.platform.id == "cpu" else []
    return ["LimitMEMLOCK=infinity", "LimitSTACK=67108864", "LimitNOFILE=65536", *alone]
