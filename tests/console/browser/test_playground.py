"""Chats in the page: streamed, stopped, with tools, as JSON, and the same call as a program."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browsing import Visit
from tests.console.browser.conftest import House
from tests.console.doors import bearer
from tests.support import without_proxies

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def playground(house: House, **how: Any) -> AsyncIterator[tuple[Page, Visit]]:
    async with house.operator(**how) as guest:
        yield await guest.open("playground"), guest


async def say(page: Page, text: str) -> Locator:
    """Sends a message, and returns the answer's place."""
    before = await page.get_by_role("article").count()
    await page.get_by_label("Message").fill(text)
    await page.get_by_role("button", name="Send", exact=True).click()
    return page.get_by_role("article").nth(before + 1)


async def test_a_chat_streams_with_its_thinking_folded(house: House) -> None:
    async with playground(house) as (page, guest):
        answer = await say(page, "fault:slow tokens=16 interval=0.15")
        await expect(answer.locator("summary")).to_contain_text("Thinking …")
        async with asyncio.timeout(30):  # a look each few milliseconds: `expect` takes its time
            while "w8" not in (said := await answer.inner_text()):
                await asyncio.sleep(0.01)
        assert "w15" not in said  # it is shown as it comes
        await expect(answer).to_contain_text("finish: stop")
        await expect(answer.locator("summary")).to_contain_text("Thought for")
        await expect(answer.locator(".said")).to_have_text("w8 w9 w10 w11 w12 w13 w14 w15")
        thoughts = answer.locator(".thought")
        await expect(thoughts).to_be_hidden()
        await answer.locator("summary").click()
        await expect(thoughts).to_have_text("w0 w1 w2 w3 w4 w5 w6 w7")
        for words in ("first token", "tokens/s", "12 in (8 from the cache)", "6 out (3 thinking)"):
            await expect(answer.locator(".foot")).to_contain_text(words)
        guest.quiet()


async def test_a_button_that_goes_leaves_the_focus_at_the_message(house: House) -> None:
    async with playground(house) as (page, guest):
        for name in ("17 + 25", "Again"):
            await page.get_by_role("button", name=name).focus()
            await page.keyboard.press("Enter")
            await expect(page.get_by_label("Message")).to_be_focused()
            await expect(page.get_by_role("article").nth(1)).to_contain_text("finish: stop")
        guest.quiet()


async def test_a_chat_is_stopped_and_frees_the_engine(house: House) -> None:
    async with playground(house) as (page, guest):
        answer = await say(page, "fault:slow tokens=600 interval=0.05")
        await expect(answer.locator(".thought")).to_contain_text("w2")
        await page.get_by_role("button", name="Stop", exact=True).click()
        await expect(answer).to_contain_text("Stopped by you.")
        async with asyncio.timeout(20):
            while await asyncio.to_thread(lambda: house.engine.running):
                await asyncio.sleep(0.02)
        again = await say(page, "hello")
        await expect(again).to_contain_text("finish: stop")
        guest.quiet()


async def test_a_tool_is_called_answered_by_hand_and_its_answer_used(house: House) -> None:
    async with playground(house) as (page, guest):
        await page.get_by_label("Tools").check()
        answer = await say(page, "fault:tools calls=1")
        call = answer.locator(".call")
        await expect(call).to_contain_text("f0")
        await expect(call.get_by_label("Arguments")).to_contain_text('"n": 0')
        assert [one["function"]["name"] for one in house.engine.asked["tools"]]
        await call.get_by_label("Answer").fill('{"result": 42}')
        await answer.get_by_role("button", name="Send the answers").click()
        await expect(page.get_by_role("article").nth(2)).to_contain_text("finish: stop")
        *_, told, result = house.engine.asked["messages"]
        assert told["tool_calls"][0]["function"]["name"] == "f0"
        assert (result["role"], result["content"]) == ("tool", '{"result": 42}')
        assert result["tool_call_id"] == told["tool_calls"][0]["id"]
        guest.quiet()


async def test_json_sampling_and_the_system_prompt_reach_the_engine(house: House) -> None:
    async with playground(house) as (page, guest):
        await page.get_by_label("Answer as").select_option("JSON object")
        await page.get_by_label("System prompt").fill("Be brief.")
        await page.get_by_label("Temperature").fill("0.5")
        await page.get_by_label("Stop at").fill("END")
        await page.get_by_label("Most tokens").fill("9")
        answer = await say(page, "JSON, please")
        await expect(answer).to_contain_text("finish: stop")
        asked = house.engine.asked
        assert asked["response_format"] == {"type": "json_object"}
        assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
        assert (asked["temperature"], asked["stop"]) == (0.5, ["END"])
        await page.get_by_label("Temperature").fill("9")
        await page.get_by_label("Message").fill("more")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("Temperature")
        guest.quiet()


async def test_what_goes_wrong_is_told_where_it_happened(house: House) -> None:
    async with playground(house) as (page, guest):
        answer = await say(page, "fault:late_refusal wait=0")
        await expect(answer.get_by_role("alert")).to_contain_text("context length")
        answer = await say(page, "fault:drop_mid_stream")
        await expect(answer.get_by_role("alert")).to_be_visible()
        assert not guest.abroad()


async def test_where_keys_are_needed_the_page_asks_for_one(fresh: House) -> None:
    own = bearer(fresh.doors.own)
    made = await fresh.doors.api.post("/console/api/keys", json={"name": "a"}, headers=own)
    async with playground(fresh) as (page, guest):
        await page.get_by_label("API key").fill(made.json()["key"])
        answer = await say(page, "hello")
        await expect(answer).to_contain_text("finish: stop")
        assert made.json()["key"] not in await page.evaluate(
            "JSON.stringify([localStorage, sessionStorage])"
        )
        guest.quiet()


async def test_the_call_as_curl_is_pasted_into_a_shell(house: House) -> None:
    """With every character that a shell could trip over."""
    awkward = 'it\'s $HOME `id` "$(id)" \\ !! %s #x\nJSON\nEOF é 🐳'
    async with playground(house) as (page, guest):
        await page.get_by_label("Message").fill(awkward)
        await page.get_by_role("button", name="Code", exact=True).click()
        text = await page.get_by_label("Program", exact=True).inner_text()
        guest.quiet()
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", text, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=without_proxies() | {"SEEKSERVE_API_KEY": "none"},
    )  # fmt: skip
    said, wrong = await asyncio.wait_for(shell.communicate(), 20)
    assert (shell.returncode, wrong) == (0, b"")
    assert said.endswith(b"data: [DONE]\n\n")
    assert house.engine.asked["messages"][-1]["content"] == awkward


async def test_the_call_as_python_and_node_is_a_program(house: House) -> None:
    async with playground(house) as (page, guest):
        await page.get_by_label("Tools").check()
        await page.get_by_label("Message").fill("</script> 'quoted' \"twice\" \\ \u2028 ${x}")
        await page.get_by_role("button", name="Code", exact=True).click()
        program = page.get_by_label("Program", exact=True)
        await page.get_by_role("button", name="Python", exact=True).click()
        compile(await program.inner_text(), "copied", "exec")
        await page.get_by_role("button", name="Node", exact=True).click()
        node = await asyncio.create_subprocess_exec(
            "node", "--input-type=module", "--check", stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=without_proxies(),
        )  # fmt: skip
        _, wrong = await node.communicate((await program.inner_text()).encode())
        assert (node.returncode, wrong) == (0, b"")
        guest.quiet()


async def test_hostile_words_of_a_model_are_words(house: House) -> None:
    bad = "<img src=x onerror=alert(1)><script>alert(2)</script>[a](javascript:alert(3)) `<b>`\n```\n<i>\n```"
    tool = {"id": "t", "type": "function", "index": 0, "function": {"name": bad, "arguments": bad}}
    deltas = [{"reasoning": bad}, {"content": bad}, {"tool_calls": [tool]}]
    async with playground(house) as (page, guest):
        await page.get_by_label("Tools").check()
        script = json.dumps({"deltas": deltas, "finish": "tool_calls"})
        answer = await say(page, f"fault:script {bad.splitlines()[0]}\n{script}")
        await expect(answer).to_contain_text("calls tools")
        await answer.locator("summary").click()
        for place in (".thought", ".said", ".call"):
            await expect(answer.locator(place)).to_contain_text("<img src=x onerror=alert(1)>")
        for made in ("img", "script", "b", "i", "a[href^=javascript]"):
            await expect(page.get_by_role("article").locator(made)).to_have_count(0)
        guest.quiet()
