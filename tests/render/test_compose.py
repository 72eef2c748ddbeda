"""Compose files: by a compose implementation, by the specification's schema, and by the planner's facts."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seekserve.cli import cli
from seekserve.config import read_tier
from seekserve.render.beside import MINT
from seekserve.render.compose import compose
from seekserve.render.container import KNOWN
from seekserve.render.order import Asked, Order, order
from seekserve.settings import Listen
from tests.render import composed, held
from tests.render.held import CATALOG, SCHEMAS, made, parsed

DEPLOY = Path(__file__).parents[2] / "deploy"
GIVEN = {
    "SEEKSERVE_IMAGE": "mine:1",
    "SEEKSERVE_SECRETS": "./secrets",
    "HEAD_ADDRESS": "10.0.0.1",
}
ENDS = {False: ("yaml",), True: ("head.yaml", "worker.yaml")}


@functools.cache
def files() -> dict[str, Order]:
    """Every compose file's name, and what it was made for."""
    ours = [one for folder, one in held.ordered() if folder == "compose"]
    return {f"{one.stem}.{end}": one for one in ours for end in ENDS[one.asked.nodes > 1]}


def for_every_file(check: Callable[[Order, str], None]) -> Callable[[], None]:
    """A test of all files in one, since a test for each would plan them all on every worker."""

    def test() -> None:
        for name, ordered in files().items():
            try:
                check(ordered, name)
            except AssertionError as error:
                error.add_note(name)
                raise

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    return test


def server(ordered: Order, name: str) -> dict[str, Any]:
    one: dict[str, Any] = services(page_of(ordered, name))["seekserve"]
    return one


def page_of(ordered: Order, name: str) -> str:
    shipped = files().get(name) is ordered
    return made()[f"compose/{name}"] if shipped else compose(ordered)[name]


def services(text: str) -> Any:
    return parsed(text)[0]["services"]


def test_every_tier_and_vendor_that_a_tier_names_has_its_file() -> None:
    names = set(files())
    assert {"demo.yaml", "cpu.yaml", "consumer.yaml", "enterprise.yaml", "flagship.yaml"} <= names
    assert {"flagship.head.yaml", "flagship.worker.yaml"} <= names
    for tier in ("consumer", "enterprise", "flagship"):
        hardware = [one for one in read_tier(tier).hardware if one.nodes == 1]
        platforms = {CATALOG.accelerator(one.gpu).platform for one in hardware} - {"cuda"}
        assert {f"{tier}.{platform}.yaml" for platform in platforms} <= names


def test_a_compose_implementation_takes_every_file() -> None:
    said = composed.ask([DEPLOY / "compose" / name for name in files()], GIVEN)
    assert len(said) == len(files())
    for name, answer in said.items():
        assert answer.code == 0, answer.said
        found = services(answer.config)
        one = found["seekserve"]
        assert one["image"] == "mine:1"
        assert "${" not in json.dumps(one["command"]) + json.dumps(one["volumes"])
        if "worker" not in name:
            assert set(found) == {"secrets", "seekserve", "prometheus", "grafana"}


def test_without_a_variable_that_must_be_set_it_is_named() -> None:
    answer = composed.ask([DEPLOY / "compose" / "flagship.worker.yaml"], {})
    assert answer["flagship.worker.yaml"].code != 0
    said = answer["flagship.worker.yaml"].said
    assert "the private network of the nodes" in said or "the file node_token" in said


def test_the_schema_of_the_specification_takes_every_file() -> None:
    from jsonschema import Draft201909Validator

    validator = Draft201909Validator(json.loads((SCHEMAS / "compose.json").read_text()))
    for name in files():
        spec = dict(parsed(made()[f"compose/{name}"])[0])
        assert spec.pop("name") == "seekserve"  # younger than the schema
        assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(spec)] == [], name


@for_every_file
def test_a_container_is_given_what_the_platform_says(ordered: Order, name: str) -> None:
    """The facts are read from the catalog here anew, key by key."""
    facts, one = dict(ordered.platform.container), server(ordered, name)
    assert set(facts) <= KNOWN
    for key in ("ipc", "runtime", "shm_size", "privileged"):
        assert one.get(key) == facts.get(key)
    assert set(facts.get("cap_add", [])) <= set(one.get("cap_add", []))
    assert set(facts.get("security_opt", [])) <= set(one.get("security_opt", []))
    assert {f"{path}:ro" for path in facts.get("volumes", [])} <= set(one["volumes"])
    groups = [re.sub(r".*:-|}", "", group) for group in one.get("group_add", [])]
    assert groups == facts.get("group_add", [])
    listed = set(one.get("devices", []))
    assert {path for path in facts.get("devices", []) if "davinci" not in path} <= listed
    assert dict(ordered.platform.env).items() <= one["environment"].items()
    host = ordered.asked.nodes > 1 or facts.get("network") == "host"
    assert (one.get("network_mode") == "host") == host


@for_every_file
def test_it_is_what_the_plan_for_each_hardware_wants(ordered: Order, name: str) -> None:
    one = server(ordered, name)
    for plan in ordered.plans:
        assert plan.verdict == "fits"
        assert plan.cluster.platform.id == ordered.platform.id
        assert devices(one, ordered.platform.id) in ("all", plan.cluster.per_node)
        for command in plan.commands:  # the server adds these; what is said here must not differ
            said = {k: v for k, v in one["environment"].items() if k in command.env}
            assert said.items() <= command.env.items()
        assert plan.subject.name in page_of(ordered, name)
        assert f"{plan.max_model_len:,} tokens of context" in page_of(ordered, name)
    if ordered.image:
        assert one["image"] == f"${{SEEKSERVE_IMAGE:-{ordered.image}}}"
        assert one["build"]["target"] == ordered.platform.id
    else:
        assert one["image"].startswith("${SEEKSERVE_IMAGE:?")


def devices(one: dict[str, Any], platform: str) -> Any:
    """How many accelerators the container sees."""
    if platform == "cuda":
        (device,) = one["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
        return device["count"]
    if platform == "ascend":
        return sum(bool(re.fullmatch(r"/dev/davinci\d+", path)) for path in one["devices"])
    return "all"


@for_every_file
def test_its_words_are_of_the_command_line(ordered: Order, name: str) -> None:
    verb, *words = server(ordered, name)["command"]
    if verb == "join":
        assert words == [
            "${HEAD_ADDRESS:?the address of the head on the private network of the nodes}"
        ]
        return
    help_page = CliRunner().invoke(cli, ["serve", "--help"]).output
    flags = {word for word in words if word.startswith("--")}
    assert [flag for flag in flags if flag not in help_page] == []
    assert words[words.index("--tier") + 1] == ordered.tier.tier


@for_every_file
def test_it_is_kept_in(ordered: Order, name: str) -> None:
    one = server(ordered, name)
    if one.get("privileged"):
        assert "rivileged" in page_of(ordered, name).partition("name: seekserve")[0]
    else:
        assert one["cap_drop"] == ["ALL"] and one["read_only"] is True
        assert "no-new-privileges:true" in one["security_opt"]
        assert "user" not in one
    for port in one.get("ports", []):
        assert port.startswith("${SEEKSERVE_BIND:-127.0.0.1}:") and port.endswith(":8000")
    if one.get("network_mode") == "host" and one["command"][0] == "serve":
        words = one["command"]
        assert words[words.index("--host") + 1] == "${SEEKSERVE_BIND:-127.0.0.1}"
        assert words[words.index("--ops") + 1].startswith("127.0.0.1:")
    assert one["restart"] == "unless-stopped"
    assert one["ulimits"]["memlock"] == -1 and one["ulimits"]["stack"] == 67108864
    engine = ordered.tier.engine
    grace = int(one["stop_grace_period"].removesuffix("s"))
    assert grace >= Listen().drain_s + engine.stop_grace_s
    if one["command"][0] == "serve":
        assert one["healthcheck"]["start_period"] == f"{int(engine.start_timeout_s)}s"


@pytest.mark.parametrize("name", ["consumer.yaml", "flagship.head.yaml"])
def test_who_watches_is_seen_from_this_machine_alone(name: str) -> None:
    spec = parsed(made()[f"compose/{name}"])[0]
    for who, port in (("prometheus", 9090), ("grafana", 3000)):
        one = spec["services"][who]
        assert one["profiles"] == ["watch"]
        assert re.search(r":v?\d+\.\d+\.\d+$", one["image"])
        if one.get("network_mode") == "host":
            told = json.dumps(one.get("command", [])) + json.dumps(one.get("environment", {}))
            assert "127.0.0.1" in told
        else:
            assert one["ports"] == [f"127.0.0.1:{port}:{port}"]
    grafana = spec["services"]["grafana"]
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/run/secrets/")
    assert grafana["depends_on"] == {"prometheus": {"condition": "service_healthy"}}


def test_a_first_start_makes_the_secrets_that_are_missing(tmp_path: Path) -> None:
    script = MINT.replace("$$", "$").replace("/run/secrets", str(tmp_path))
    (tmp_path / "ops_token").write_text("mine")
    for _ in range(2):
        subprocess.run(["/bin/sh", "-euc", script], check=True)
        made_one = (tmp_path / "grafana_password").read_text()
        assert re.fullmatch("[0-9a-f]{64}", made_one)
    assert (tmp_path / "ops_token").read_text() == "mine"


def asked(**how: Any) -> Order:
    tier = read_tier(how.pop("tier", "enterprise"))
    return order(CATALOG, Asked("compose", tier, "seekserve render", "9.9.9", **how))


def test_cdi_and_rdma_are_there_for_the_asking() -> None:
    one = server(asked(gpu="a100-80g:4", cdi=True), "enterprise.yaml")
    assert one["devices"] == [f"nvidia.com/gpu={n}" for n in range(4)]
    assert "deploy" not in one
    assert server(asked(cdi=True), "enterprise.yaml")["devices"] == ["nvidia.com/gpu=all"]
    nodes = asked(tier="flagship", gpu="a100-80g:8", nodes=2, rdma=True)
    one = server(nodes, "flagship.worker.yaml")
    assert one["devices"] == ["/dev/infiniband"] and "IPC_LOCK" in one["cap_add"]


def test_a_machine_that_is_named_gets_its_count_of_cards() -> None:
    assert devices(server(asked(gpu="rtx-4090:4"), "enterprise.yaml"), "cuda") == 4
    found = asked(tier="flagship", gpu="ascend-910c:16")
    one = server(found, "flagship.ascend.yaml")
    assert devices(one, "ascend") == 16 and "/dev/davinci_manager" in one["devices"]


def test_a_tier_of_ones_own_is_mounted(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("tier: mine\nengine: {model: org/model}\n")
    found = order(CATALOG, Asked("compose", read_tier(str(path)), "x", "9.9.9", path=str(path)))
    files = compose(found)
    assert parsed(files["mine.tier.yaml"]) == parsed(path.read_text())
    volumes = services(files["mine.yaml"])["seekserve"]["volumes"]
    assert "./mine.tier.yaml:/etc/seekserve/tier.yaml:ro" in volumes
    assert str(tmp_path) not in "".join(files.values())
