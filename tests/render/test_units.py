"""systemd units and Slurm scripts: by systemd's and shellcheck's own word, and by what they do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seekserve.render.units import PROGRAM
from tests.render.held import made

SCRIPTS = [
    "slurm/enterprise/head.sh",
    "slurm/enterprise/seekserve.sbatch",
    "slurm/flagship/head.sh",
    "slurm/flagship/node.sh",
    "slurm/flagship/seekserve.sbatch",
]
UNITS = [
    "systemd/cpu/seekserve.service",
    "systemd/enterprise/seekserve.service",
    "systemd/flagship/seekserve.service",
    "systemd/flagship/seekserve-join.service",
]
YOUNG = re.compile(r"Unknown key 'Restart(Steps|MaxDelaySec)'")  # of systemd 254
PATIENCE_S = 60.0


def test_there_are_no_other_scripts_and_units() -> None:
    assert sorted(name for name in made() if name.startswith("slurm/")) == SCRIPTS
    assert sorted(name for name in made() if name.startswith("systemd/")) == sorted(UNITS)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say(tmp_path: Path) -> None:
    for name in SCRIPTS:
        path = tmp_path / name.replace("/", "-")
        path.write_text(made()[name])
    done = subprocess.run(["shellcheck", *tmp_path.iterdir()], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_knows_every_word(name: str, tmp_path: Path) -> None:
    path = tmp_path / Path(name).name
    path.write_text(made()[name].replace(PROGRAM, "/bin/true") + "\n[Service]\nNoSuchWord=1\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)],
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stderr.splitlines() if path.name in line]
    (control,) = [line for line in said if not YOUNG.search(line)]
    assert "NoSuchWord" in control, "else it was not read"


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_does_not_start_again_what_cannot_work_and_waits_before_it_does(name: str) -> None:
    lines = made()[name].splitlines()
    assert "RestartPreventExitStatus=2" in lines
    assert {"Restart=always", "RestartSec=10", "RestartMaxDelaySec=300"} <= set(lines)
    (stop,) = (line for line in lines if line.startswith("TimeoutStopSec="))
    assert int(stop.partition("=")[2]) > 60
    secrets = [line for line in lines if line.startswith("LoadCredential=")]
    named = [line.partition("=")[2] for line in secrets]
    assert named and all(name.startswith(("api_", "ops_", "node_")) for name in named)
    assert len([line for line in lines if "_FILE=%d/" in line]) == len(secrets)


@pytest.mark.parametrize("name", ["slurm/flagship/head.sh", "slurm/flagship/node.sh"])
def test_what_is_not_set_is_named(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text(made()[name])
    secrets = {"SEEKSERVE_SECRETS": str(tmp_path)}
    for env, missing in (({}, "SEEKSERVE_SECRETS"), (secrets, "HEAD_ADDRESS")):
        done = subprocess.run(
            ["bash", str(script)],
            env={"PATH": os.environ["PATH"]} | env,
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0 and missing in done.stderr


PROGRAMS = {
    "scontrol": 'printf "%s\\n" one two',
    "hostname": "echo 10.0.0.7 10.1.0.7",
    # Runs what it is given after its own options.
    "srun": """\
while [ "${1:0:1}" = - ]; do case $1 in -N | -n | -w) shift 2 ;; *) shift ;; esac; done
exec "$@\"""",
    # Says what it was told, then runs until it is asked to stop.
    "seekserve": """\
trap 'echo stopped >> "$LOG/$1"; exit "${CODE:-0}"' TERM
echo "$* token=$SEEKSERVE_NODE_TOKEN_FILE" >> "$LOG/$1"
while :; do sleep 0.05; done""",
}


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment in which Slurm's programs and ours are the ones above."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    return {"PATH": path, "LOG": str(tmp_path), "SEEKSERVE_SECRETS": "/secrets"}


@pytest.mark.parametrize("code", [0, 3])
def test_a_job_runs_the_head_and_the_others_and_ends_as_the_head_does(
    code: int, programs: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "job"
    script.write_text(made()["slurm/flagship/seekserve.sbatch"])
    env = programs | {"SLURM_JOB_NODELIST": "[one-two]", "CODE": str(code)}
    with subprocess.Popen(["bash", str(script)], env=env, start_new_session=True) as job:
        try:
            logs = [tmp_path / "serve", tmp_path / "join"]
            wait_for(lambda: all(log.exists() and log.read_text() for log in logs))
            serve, join = (log.read_text() for log in logs)
            assert "--nodes 2 --cluster 10.0.0.7 token=/secrets/node_token" in serve
            assert join == "join 10.0.0.7 token=/secrets/node_token\n"
            job.send_signal(signal.SIGTERM)
            assert job.wait(PATIENCE_S) == code
            assert all("stopped" in log.read_text() for log in logs)
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
