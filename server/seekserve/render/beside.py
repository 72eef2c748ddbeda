"""What compose starts beside the server: the secrets of a first start, and who watches. Pure.

The `watch` profile has Prometheus and Grafana, told by files in deploy/prometheus and deploy/grafana.
Prometheus does not wait until the server is healthy: a first start takes an hour, and is worth watching.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROMETHEUS = "docker.io/prom/prometheus:v3.5.0"
GRAFANA = "docker.io/grafana/grafana:12.1.0"
DEPLOY = "${SEEKSERVE_DEPLOY:-..}"
WATCHED = "127.0.0.1"
LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
GUARDED = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "read_only": True,
}
MINT = """\
cd /run/secrets
umask 022
for name in ops_token grafana_password; do
  [ -s "$$name" ] || od -An -v -tx1 -N32 /dev/urandom | tr -d ' \\n' > "$$name"
done
"""


def minting(image: Mapping[str, Any], secrets: str) -> dict[str, Any]:
    """Runs once, before anything else: makes the secrets that are not there yet. Others are left alone.

    As root, which may write to a folder that is somebody's.
    """
    return {
        **image,
        "user": "0:0",
        "entrypoint": ["/bin/sh", "-euc"],
        "command": [MINT],
        "network_mode": "none",
        "restart": "no",
        "volumes": [f"{secrets}:/run/secrets"],
        "healthcheck": {"disable": True},
        **GUARDED,
        "cap_add": ["DAC_OVERRIDE"],
        "logging": LOGGING,
    }


def beside(host: bool, secrets: str) -> dict[str, Any]:
    """Prometheus and Grafana, reached from this machine alone."""
    return {"prometheus": _prometheus(host, secrets), "grafana": _grafana(host, secrets)}


def _prometheus(host: bool, secrets: str) -> dict[str, Any]:
    return {
        "image": PROMETHEUS,
        "profiles": ["watch"],
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=30d",
            *([f"--web.listen-address={WATCHED}:9090"] if host else []),
        ],
        "restart": "unless-stopped",
        "volumes": [
            f"{DEPLOY}/prometheus/prometheus.yml:/etc/prometheus/prometheus.yml:ro",
            f"{DEPLOY}/prometheus/rules:/etc/prometheus/rules:ro",
            f"{secrets}:/run/secrets:ro",
            "prometheus:/prometheus",
        ],
        **GUARDED,
        **_reached(host, 9090),
        "depends_on": {"secrets": {"condition": "service_completed_successfully"}},
        "healthcheck": _asking("http://127.0.0.1:9090/-/ready"),
        "logging": LOGGING,
    }


def _grafana(host: bool, secrets: str) -> dict[str, Any]:
    return {
        "image": GRAFANA,
        "profiles": ["watch"],
        "environment": {
            "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana_password",
            "GF_AUTH_ANONYMOUS_ENABLED": "false",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
            **({"GF_SERVER_HTTP_ADDR": WATCHED} if host else {}),
        },
        "restart": "unless-stopped",
        "volumes": [
            f"{DEPLOY}/grafana/provisioning:/etc/grafana/provisioning:ro",
            f"{DEPLOY}/grafana/dashboards:/var/lib/grafana/dashboards:ro",
            f"{secrets}:/run/secrets:ro",
            "grafana:/var/lib/grafana",
        ],
        "tmpfs": ["/tmp"],  # noqa: S108
        **GUARDED,
        **_reached(host, 3000),
        "depends_on": {"prometheus": {"condition": "service_healthy"}},
        "healthcheck": _asking("http://127.0.0.1:3000/api/health"),
        "logging": LOGGING,
    }


def _reached(host: bool, port: int) -> dict[str, Any]:
    """On the host's network the names that configurations use mean this machine."""
    if host:
        names = [f"{name}:127.0.0.1" for name in ("seekserve", "prometheus")]
        return {"network_mode": "host", "extra_hosts": names}
    return {"ports": [f"{WATCHED}:{port}:{port}"], "networks": ["outside", "inside"]}


def _asking(url: str) -> dict[str, Any]:
    return {
        "test": ["CMD", "wget", "-q", "--spider", url],
        "interval": "10s",
        "timeout": "5s",
        "retries": 6,
    }
