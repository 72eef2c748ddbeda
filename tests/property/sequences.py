"""Reads the typed streams of Responses and Messages as strict clients do: every event in its place."""

from __future__ import annotations

from collections.abc import Iterator

from tests.property.streams import Json

_PARTS = {"reasoning": "reasoning_text", "message": "output_text"}
_KINDS = {
    "reasoning": "reasoning",
    "message": "content",
    "thinking": "reasoning",
    "text": "content",
}
_GROWTH = {"thinking": "thinking", "text": "text", "input_json": "partial_json"}


def responses_items(told: list[Json]) -> list[tuple[str, str]]:
    """(kind or the call's name, text) of each item. Asserts the order of events that OpenAI has."""
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    names = [event["type"].removeprefix("response.") for event in told]
    assert names[:2] == ["created", "in_progress"]
    *middle, last = told[2:]
    left = iter(middle)
    items: list[Json] = []
    for event in left:
        items.append(_item(event, left, len(items)))
    assert last["response"]["output"] == items
    assert len({item["id"] for item in items}) == len(items)
    assert {told[0]["response"]["id"]} == {last["response"]["id"]}
    return [(str(_KINDS.get(item["type"]) or item["name"]), _said(item)) for item in items]


def _said(item: Json) -> str:
    return str(item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"])


def _item(added: Json, left: Iterator[Json], place: int) -> Json:
    """Reads one item from its `added` to its `done`, which it returns."""
    assert added["type"] == "response.output_item.added"
    kind, name = added["item"]["type"], added["item"]["id"]
    part = _PARTS.get(kind, "function_call_arguments")
    text, closing = "", [f"response.{part}.done"]
    if kind in _PARTS:
        assert next(left)["type"] == "response.content_part.added"
        closing.append("response.content_part.done")
    for event in left:
        assert event["item_id"] == name
        assert event["output_index"] == place
        if event["type"] != f"response.{part}.delta":
            break
        assert event["delta"]
        text += event["delta"]
    assert event["type"] == closing[0]
    assert event[("text" if kind in _PARTS else "arguments")] == text
    if kind in _PARTS:
        closed = next(left)
        assert (closed["type"], closed["part"]["text"]) == (closing[1], text)
    done: Json = next(left)
    assert (done["type"], done["output_index"]) == ("response.output_item.done", place)
    assert _said(done["item"]) == text
    item: Json = done["item"]
    return item


def messages_blocks(told: list[Json]) -> list[tuple[str, str]]:
    """(kind or the call's name, text) of each block. Asserts the order of events that Anthropic has."""
    first, *middle, delta, stop = [event for event in told if event["type"] != "ping"]
    assert first["type"] == "message_start"
    assert first["message"]["id"] != "msg_"
    assert (delta["type"], stop["type"]) == ("message_delta", "message_stop")
    left = iter(middle)
    found: list[tuple[str, str]] = []
    for event in left:
        assert (event["type"], event["index"]) == ("content_block_start", len(found))
        block = event["content_block"]
        kind = _KINDS.get(block["type"]) or block["name"]
        found.append((kind, _block(left, len(found), block["type"])))
    return found


def _block(left: Iterator[Json], place: int, kind: str) -> str:
    """Reads one block to its stop, and returns its text."""
    text, signed = "", False
    for event in left:
        assert event["index"] == place
        if event["type"] == "content_block_stop":
            break
        assert event["type"] == "content_block_delta"
        assert not signed
        grown = event["delta"]["type"].removesuffix("_delta")
        signed = grown == "signature"
        text += "" if signed else event["delta"][_GROWTH[grown]]
    assert event["type"] == "content_block_stop"
    assert signed is (kind == "thinking")
    return text
