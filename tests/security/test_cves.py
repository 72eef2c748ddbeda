"""One test for every known hole of this kind of system that a gateway could have, or could leave open.

What does not apply here, and why:

- 2025-32444, 2026-3059, -3060, -7301 (pickle over ZMQ on 0.0.0.0): no ZMQ and no pickle here; the engine's
  own sockets are in a folder of its owner's (test_private).
- 2026-22778, -22773, -5497 (decoders of images and videos): no media pass (below).
- 2025-66448, 2026-22807, -27893, -53923 (code and formats in a model's repository): which model is served is
  for who runs the server to say.
- 2026-9540 (what vLLM 0.19 kept of requests that ended): the engine's; what we keep is in
  gateway/test_cancellations.
- 2026-42203, -5760 (Jinja in /prompts/test, and by /rerank): nothing is rendered here; neither is served.
- 2026-42271 (a command in an MCP test endpoint): no endpoint starts a process.
- 2026-7482, -42248, -42249 (Ollama's parser and updater): no model is parsed, and nothing updates itself.
- LiteLLM 1.82.7 (a stolen PyPI token): supply chain, not a matter of requests.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from seekserve.gateway import keyfile
from seekserve.gateway.keys import PREFIX, Keyring
from tests.gateway.test_keyfile import add, behind_keys
from tests.support import KEY, FakeEngine, Gate, config, gateway, post, raw

SOURCES = Path(__file__).parents[2] / "server" / "seekserve"
USER = {"role": "user", "content": "hi"}
CHAT = "/v1/chat/completions"


async def unheard(gate: Gate, engine: FakeEngine, more: dict[str, Any]) -> httpx.Response:
    """The refusal of a chat; the engine has heard nothing of it."""
    before = len(engine.state()["seen"])
    answer = await gate.client.post(CHAT, json={"model": "fake", "messages": [USER]} | more)
    assert answer.status_code == 400, answer.text
    assert len(engine.state()["seen"]) == before
    return answer


async def told(port: int, request: bytes) -> bytes:
    """The first line that answers bytes written by hand."""
    reader, writer = await raw(port, request)
    line = await asyncio.wait_for(reader.readline(), 20)
    writer.close()
    return line


async def test_cve_2025_48956_a_giant_header(engine: FakeEngine) -> None:
    """vLLM kept a header of any length in memory, before any key. We cut a head at 64 KiB, key or not."""
    async with gateway(config(engine.url, key=KEY)) as gate:
        head = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-big: " + b"a" * (4 << 20)
        reader, writer = await raw(gate.port, b"")
        try:
            writer.write(head)
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), 20)
        except ConnectionError:
            line = b"HTTP/1.1 431"
        writer.close()
        assert line.startswith(b"HTTP/1.1 431")
        assert (await gate.client.get("/health/live")).status_code == 200


def test_cve_2025_59425_a_keys_letters_by_time() -> None:
    """vLLM compared keys letter by letter. Ours are compared as digests, whole: no `==` on a secret.

    How many comparisons a check makes is in gateway/test_keys, how long it takes in `key_timing`.
    """
    tree = ast.parse((SOURCES / "gateway" / "keys.py").read_text())
    find = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "find")
    calls = [ast.unparse(n.func) for n in ast.walk(find) if isinstance(n, ast.Call)]
    assert calls.count("hmac.compare_digest") == 2
    assert not [n for n in ast.walk(find) if isinstance(n, ast.Compare | ast.Break | ast.Continue)]
    (end,) = [n for n in ast.walk(find) if isinstance(n, ast.Return)]
    assert end is find.body[-1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"pattern": "(", "type": "string"},
        {"pattern": 5, "type": "string"},
        {"pattern": "[a-z", "type": "string"},
        {"type": "something"},
        {"type": {"a": 1}},
    ],
)
async def test_cve_2025_48944_a_tools_pattern_or_type(
    gate: Gate, engine: FakeEngine, wrong: Any
) -> None:
    """One bad `pattern` or `type` in a forced tool ended vLLM's worker, for everybody. Ours ends here."""
    schema = {"type": "object", "properties": {"a": wrong}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    answer = await unheard(gate, engine, {"tools": tools, "tool_choice": "required"})
    assert answer.json()["error"]["param"].startswith("tools.0.function.parameters.properties.a")


async def test_cve_2025_48942_and_48943_a_bad_schema_or_regex(
    gate: Gate, engine: FakeEngine
) -> None:
    """A `guided_json` or `guided_regex` that is none ended vLLM. Ours has one door for schemas, which reads
    them, and none for regular expressions and grammars.
    """
    form = {"name": "x", "schema": {"type": "object", "properties": {"a": {"type": "(("}}}}
    await unheard(gate, engine, {"response_format": {"type": "json_schema", "json_schema": form}})
    for given in (
        {"regex": "((("},
        {"json": "{"},
        {"grammar": "root ::="},
        {"structural_tag": "{"},
    ):
        await unheard(gate, engine, {"structured_outputs": given})
    for name in ("guided_json", "guided_regex", "guided_grammar", "guided_choice"):
        assert (await gate.ask(**{name: "((("})).status_code == 200
        assert name not in engine.asked, "older names are dropped"


async def test_cve_2025_48887_a_regex_that_never_ends(gate: Gate, engine: FakeEngine) -> None:
    """Nested repeats held vLLM's tool parser and compiler up. They are refused by their size."""
    for pattern in ("(a+)+$", "((x*)*)*", "(.{1,99}){1,99}", "[a-z]?" * 400, "(" * 400 + ")" * 400):
        schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        answer = await unheard(gate, engine, {"response_format": form})
        assert answer.json()["error"]["code"] == "invalid_schema"


async def test_cve_2025_61620_a_clients_template(gate: Gate, engine: FakeEngine) -> None:
    """`chat_template` rendered a client's Jinja on vLLM's event loop. It is nobody's to send here."""
    loop = "{% for i in range(10**9) %}{% endfor %}"
    await unheard(gate, engine, {"chat_template": loop})
    await unheard(gate, engine, {"chat_template_kwargs": {"chat_template": loop}})


async def test_cve_2025_62426_template_kwargs(gate: Gate, engine: FakeEngine) -> None:
    """`{"tokenize": true}` among the template's kwargs blocked vLLM. Two switches are let through."""
    await unheard(gate, engine, {"chat_template_kwargs": {"tokenize": True}})
    await gate.ask(chat_template_kwargs={"thinking": True})
    assert engine.asked["chat_template_kwargs"] == {"thinking": True, "enable_thinking": True}


async def test_cve_2025_62164_prompt_embeds(gate: Gate, engine: FakeEngine) -> None:
    """`prompt_embeds` was unpickled by torch.load. Refused as a field, as a part and in completions."""
    await unheard(gate, engine, {"prompt_embeds": "gASVAAAA"})
    part = {"type": "prompt_embeds", "prompt_embeds": "gASVAAAA"}
    await unheard(gate, engine, {"messages": [{"role": "user", "content": [part]}]})
    before = len(engine.state()["seen"])
    asked = {"model": "fake", "prompt": "hi", "prompt_embeds": ["gASVAAAA"]}
    assert (await gate.client.post("/v1/completions", json=asked)).status_code == 400
    assert len(engine.state()["seen"]) == before


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://allowed.example\\@127.0.0.1:6666/",
        "https://[::ffff:127.0.0.1]/",
        "file:///etc/passwd",
        "data:video/jpeg;base64,QUFB,QUFB",
    ],
)
async def test_cve_2026_24779_and_33626_media_urls(
    gate: Gate, engine: FakeEngine, url: str
) -> None:
    """Media URLs made vLLM (GHSA-3f6c-7fw2-ppm4) and LMDeploy ask hosts inside, and one parser's backslash
    was another's slash. Nobody here parses or fetches one, and vLLM follows no redirect.
    """
    for kind in ("image_url", "video_url", "audio_url"):
        part = {"type": kind, kind: {"url": url}}
        answer = await unheard(gate, engine, {"messages": [{"role": "user", "content": [part]}]})
        assert f"{kind} is not read here" in answer.json()["error"]["message"]


async def test_ghsa_unbounded_n(gate: Gate, engine: FakeEngine) -> None:
    """n = 1,000,000 blocked vLLM's loop, and 16,384 is still its own cap. Ours is 16, by default."""
    for n in (17, 16_384, 10**6, 2**63):
        await unheard(gate, engine, {"n": n})


async def test_cve_2026_48746_and_48710_badhost(engine: FakeEngine) -> None:
    """Starlette built request.url from the Host header, and vLLM guarded that path, not the one it served.

    The guard reads the raw path alone, and a Host that is none is refused. More in test_doors.
    """
    async with gateway(config(engine.url, key=KEY)) as gate:
        before = len(engine.state()["seen"])
        body = json.dumps({"model": "fake", "messages": [USER]}).encode()
        for host in ("x/health/live?", "localhost/health/live#", "a@b/health/ready?", "x\\health"):
            request = post(body, CHAT).replace(b"host: localhost", f"host: {host}".encode())
            assert (await told(gate.port, request)).split()[1] == b"400"
        assert len(engine.state()["seen"]) == before


def test_the_guard_never_reads_a_url_made_of_headers() -> None:
    """`request.url` and `base_url` are made of the Host header: nothing of ours may decide by them."""
    for path in SOURCES.rglob("*.py"):
        text = path.read_text()
        assert "request.url" not in text and ".base_url" not in text, path


async def test_vllms_key_covers_four_prefixes(engine: FakeEngine) -> None:
    """/invocations, /tokenize, /metrics and the rest of vLLM's routes are open beside its key. Here a
    path that is not ours is nobody's, and without a key nobody learns which are. More in test_doors.
    """
    async with gateway(config(engine.url, key=KEY)) as gate:
        for path in ("/invocations", "/tokenize", "/collective_rpc", "/metrics", "/openapi.json"):
            assert (await gate.client.post(path, json={})).status_code == 401


INJECTED = (
    "x' OR '1'='1",
    '" OR ""="',
    "x'; DROP TABLE requests;--",
    "x' UNION SELECT 1--",
    "%",
    "_",
)


async def test_cve_2026_42208_sql_in_a_key(engine: FakeEngine, tmp_path: Path) -> None:
    """LiteLLM put the presented key into a query. Ours are looked up in a dict, by their public part."""
    async with behind_keys(engine, tmp_path) as gate:
        right = gate.client.headers["x-api-key"]
        for text in (*INJECTED, *(f"sk-seek-{text}" for text in INJECTED), f"{right}' OR '1'='1"):
            answer = await gate.client.get("/v1/models", headers={"x-api-key": text})
            assert answer.status_code in (401, 429), text
        assert (await gate.client.get("/v1/models")).status_code == 200


def test_cve_2026_42208_no_sql_is_put_together_from_what_clients_say() -> None:
    """Every statement is a literal, but for names and numbers of ours."""
    met = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and SQL.search(ast.unparse(node.func)):
                (statement, *_) = node.args
                made = [n.value for n in ast.walk(statement) if isinstance(n, ast.FormattedValue)]
                whole = isinstance(statement, ast.Constant | ast.JoinedStr)
                met |= {ast.unparse(n) for n in (made if whole else [statement])}
    assert met == OURS_IN_SQL


SQL = re.compile(r"\.execute(many|script)?$")
OURS_IN_SQL = {
    *("_GROUPS[by]", "_GROUPS['day']", "_SUMS", "order", "len(STEPS)"),
    *(
        "statement",
        "_insert(len(some))",
    ),  # of STEPS, and as many question marks as there are values
}


async def test_cve_2026_47101_a_key_that_makes_keys(engine: FakeEngine, tmp_path: Path) -> None:
    """Any user of LiteLLM could mint a key for every route. No route here makes or changes a key."""
    async with behind_keys(engine, tmp_path, models=("fake",)) as gate:
        kept = (tmp_path / keyfile.NAME).read_bytes()
        asked: dict[str, Any] = {"name": "me", "allowed_routes": ["/*"], "class_name": "enterprise"}
        for path in ("/key/generate", "/keys", "/v1/keys", "/user/new", "/admin/keys", "/config"):
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                answer = await gate.client.request(method, path, json=asked)
                assert answer.status_code in (404, 405), (method, path)
        assert (tmp_path / keyfile.NAME).read_bytes() == kept
        asked |= {"model": "other", "messages": [USER]}
        answer = await gate.client.post(CHAT, json=asked)
        assert answer.status_code == 403, "nor does a field widen what a key may"


def test_cve_2026_35030_a_cache_of_shortened_keys(tmp_path: Path) -> None:
    """LiteLLM cached whom a token was by its first 20 letters. Ours share 20 (sk-seek- and the ID), and
    what finds a key is not what lets it in: that is the digest of the whole.
    """
    right = add(tmp_path / keyfile.NAME, "alice")
    ring = Keyring((), keyfile.read(tmp_path / keyfile.NAME).keys)
    assert ring.find(right)
    for length in range(len(right)):
        assert not ring.find(right[:length])
    assert any(right[:20] == f"{PREFIX}{key.id}" for key in ring.keys), "its whole ID is right"
    assert not ring.find(right[:20] + "-other") and not ring.find(right + "x")


def many(one: bytes, count: int = 1_300_000) -> bytes:
    return b"[" + b",".join([one] * count) + b"]"


def turn(content: bytes) -> bytes:
    return b'"messages":[{"role":"user","content":' + content + b"}]"


NAMES = b"{%s}" % b",".join(b'"%d":1e9' % number for number in range(500_000))
COSTLY = (
    (CHAT, b'"x":' + b"[" * 10**6),
    (CHAT, b'"messages":' + many(b"{}", 300_001)),
    (CHAT, turn(many(b"1"))),
    (CHAT, turn(b'[{"type":"text","text":"a",' + NAMES[1:] + b"]")),
    (CHAT, turn(b'"a"') + b',"logit_bias":' + NAMES),
    ("/v1/completions", b'"prompt":' + many(b"-1")),
    ("/v1/completions", b'"prompt":[%s]' % many(b"-1")),
    ("/v1/completions", b'"prompt":"a","stop":' + many(b"1")),
    ("/v1/embeddings", b'"input":' + many(b"-1")),
    ("/v1/responses", b'"input":[{"role":"user","content":%s}]' % many(b"1")),
    ("/v1/responses", b'"input":"a","metadata":' + NAMES),
    ("/anthropic/v1/messages", b'"max_tokens":1,' + turn(many(b'{"type":"tool_use"}', 240_000))),
)
"""Megabytes of small things, nested or many, each of them a fault."""


@pytest.mark.parametrize(("path", "inside"), COSTLY, ids=range(len(COSTLY)))
async def test_a_body_that_takes_long_to_check_is_not_taken(
    gate: Gate, path: str, inside: bytes
) -> None:
    """The family of cheap requests that cost much."""
    begun = time.monotonic()
    content = b'{"model":"fake",' + inside + b"}"
    assert (await gate.client.post(path, content=content)).status_code in (400, 413)
    assert time.monotonic() - begun < 4
