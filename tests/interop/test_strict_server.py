"""The client against a server that was written from the protocol page alone and takes it at its word.

Each test ends with the server's list of what the client did against the page, which has to be empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_core import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    EndReason,
    MessageReceived,
    Notice,
    PushUrl,
    RefusedError,
    SendRejectedError,
    SessionEnded,
    UnknownEvent,
)
from interop.strict_gms import Quirks, StrictGms
from support.strict import CARRIERS, everything, in_order_once, options_for, shown, start

QUIRKS = {
    "plain": Quirks(),
    "changing-alias": Quirks(changing_alias=True),
    "sparse": Quirks(sparse=True),
    "bare": Quirks(bare=True),
    "loose-notice": Quirks(loose_notice=True),
    "unknown-type": Quirks(unknown_type=True),
    "text-index": Quirks(text_index=True),
    "repeats": Quirks(repeats=True),
    "extras": Quirks(extras=True),
}
ON_COMETD = {
    "echoes": Quirks(echoes=True),
    "early-delivery": Quirks(early_delivery=True),
    "quiet-end": Quirks(quiet_end=True),
    "late-end": Quirks(late_end=0.3),
}
ALL = Quirks(
    changing_alias=True,
    bare=True,
    loose_notice=True,
    unknown_type=True,
    text_index=True,
    repeats=True,
    extras=True,
    echoes=True,
    early_delivery=True,
    late_end=0.3,
)
CASES = [
    *((carrier, name, quirks) for carrier in CARRIERS for name, quirks in {**QUIRKS, "all": ALL}.items()),
    *((carrier, name, quirks) for carrier in CARRIERS[:2] for name, quirks in ON_COMETD.items()),
]

#: Where an error may stand (3.4); over REST there is one place.
PLACES = [(carrier, place) for carrier in CARRIERS for place in ("data", "errors", "error")][:7]

#: Characters that a form or JSON has to escape.
AWKWARD = 'Grüße 👋 & = + % [x] "y" \\ \n;'


@asynccontextmanager
async def strict(**options: Any) -> AsyncIterator[StrictGms]:
    """A server whose list of violations is empty in the end."""
    async with StrictGms(**options) as server:
        yield server
    assert server.violations == []
    assert [chat.late_operations for chat in server.chats] == [0] * len(server.chats)


async def whole_chat(server: StrictGms, carrier: str, place: Path, **options: Any) -> None:
    """Start, talk both ways, use every command, restore in a second session, leave."""
    stored = {"storage_options": {"directory": str(place / "state")}, "max_offline_duration": 60, **options}
    data = {"FirstName": "Ada", "TimeZone": "-60", "Note": AWKWARD}
    session = await start(server, carrier, subject="Invoice", user_data=data, **stored)
    chat = await server.next_chat()
    assert (chat.subject, chat.client["nickname"]) == ("Invoice", "Ada")
    assert data.items() <= chat.user_data.items()
    chat.agent_joins("Grace")
    assert (await session.wait_for(AgentConnected, timeout=5)).party.name == "Grace"
    await session.send_typing(True, "Hel")
    await session.send_typing(False)
    await chat.until(lambda: chat.shown("TypingStarted") == ["Hel"] and chat.shown("TypingStopped"))
    await session.send_message(AWKWARD)
    await chat.hears(AWKWARD)
    chat.agent_types()
    assert (await session.wait_for(AgentTyping, timeout=5)).is_typing
    chat.agent_says("Hello Ada")
    message = await session.wait_for(MessageReceived, timeout=5)
    assert (message.text, message.party.name, message.own) == ("Hello Ada", "Grace", False)
    await session.set_user_data({"Level": "gold", "Näme": AWKWARD})
    await chat.until(lambda: {"Level": "gold", "Näme": AWKWARD}.items() <= chat.user_data.items())
    await session.update_nickname("Ada Löve")
    await chat.until(lambda: chat.client["nickname"] == "Ada Löve")
    await session.send_custom_notice("ping")
    await chat.until(lambda: chat.shown("CustomNotice") == ["ping"])
    await session.send_message("https://example.org/?a=1&b=2", type="url", until="echoed")
    chat.agent_pushes("https://example.org/form")
    assert (await session.wait_for(PushUrl, timeout=5)).url == "https://example.org/form"
    chat.resting = True
    await session.detach()
    first = await everything(session)
    chat.agent_says("while away")

    stored = {name: value for name, value in stored.items() if name not in options_for(carrier)}
    again = await chat_core.restore_session(**{**options_for(carrier), **stored, **options})
    await again.wait_for(MessageReceived, lambda event: event.text == "while away", timeout=5)
    await again.send_message("back", until="echoed")
    end = await again.leave()
    assert (end.reason, end.error) == (EndReason.LEFT, None)
    second = await everything(again)
    said = ["Ada joined", "Grace joined", AWKWARD, "Hello Ada", "now Ada Löve", "notice ping"]
    said.append("url https://example.org/?a=1&b=2")
    assert shown(first) == said
    assert shown(second) == [*said, "while away", "back", "ended left"]
    assert in_order_once(first)
    assert in_order_once(second)
    assert sum(isinstance(event, PushUrl) for event in second) == 1
    assert sum(isinstance(event, UnknownEvent) for event in second) == server.quirks.unknown_type
    assert sum(isinstance(event, Notice) for event in first) == server.quirks.loose_notice
    assert chat.ended
    assert [name for name in chat.operations if name not in {"refresh", "requestNotifications"}] == [
        "create" if carrier == "rest" else "requestChat",
        "startTyping",
        "stopTyping",
        "send",
        "updateData",
        "updateNickname",
        "customNotice",
        "send",
        "send",
        "disconnect",
    ]


@pytest.mark.parametrize(("carrier", "name", "quirks"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_whole_chat_keeps_to_the_page(carrier: str, name: str, quirks: Quirks, tmp_path: Path):
    """Whatever the page says a back end may do, every command arrives and each event is seen in order, once."""

    async def main() -> None:
        async with strict(quirks=quirks) as server:
            await whole_chat(server, carrier, tmp_path)

    asyncio.run(main())


@pytest.mark.parametrize("carrier", ["websocket", "long-polling"])
def test_a_whole_chat_with_acknowledgements(carrier: str, tmp_path: Path):
    """Section 5.5: where both sides have the extension, each connect acknowledges the batch before."""

    async def main() -> None:
        async with strict(ack=True) as server:
            await whole_chat(server, carrier, tmp_path, transport_options={"ack": True})
            assert any('"ext":{"ack":3}' in text for text in server.sent)

    asyncio.run(main())


def test_a_whole_chat_where_a_websocket_is_refused(tmp_path: Path):
    """Section 5.4: a WebSocket that never opened gives way to long polling."""

    async def main() -> None:
        async with strict(websocket=False) as server:
            await whole_chat(server, "websocket", tmp_path)

    asyncio.run(main())


@pytest.mark.parametrize("carrier", ["websocket", "long-polling"])
def test_a_new_handshake_asks_for_notifications(carrier: str):
    """Section 3.5: after 402 comes a new handshake, subscription and requestNotifications; nothing is lost."""

    async def main() -> None:
        async with strict() as server, start(server, carrier) as session:
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            await session.wait_for(AgentConnected, timeout=5)
            server.cometd.forget_sessions()
            chat.agent_says("meanwhile")
            await session.wait_for(MessageReceived, timeout=10)
            await session.send_message("still here", until="echoed")
            assert chat.operations.count("requestNotifications") == 1
            await session.leave()
            lines = [line for line in shown(await everything(session)) if "connection" not in line]
            assert lines == ["Ada joined", "Grace joined", "meanwhile", "still here", "ended left"]

    asyncio.run(main())


def test_a_cut_websocket_is_taken_up_with_the_cookie():
    """Section 3.1: the next upgrade brings the cookie that the first one set; nothing is lost."""

    async def main() -> None:
        async with strict() as server, start(server, "websocket") as session:
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            await session.wait_for(AgentConnected, timeout=5)
            await server.cometd.drop_connections()
            chat.agent_says("meanwhile")
            await session.wait_for(MessageReceived, timeout=10)
            await session.send_message("still here", until="echoed")
            await session.leave()
            lines = [line for line in shown(await everything(session)) if "connection" not in line]
            assert lines == ["Ada joined", "Grace joined", "meanwhile", "still here", "ended left"]

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_agent_leaves_and_the_chat_goes_on(carrier: str):
    """Section 9: not ParticipantLeft of the last agent is the end, chatEnded is. Section 2.5: no eventAttributes."""

    async def main() -> None:
        async with strict() as server, start(server, carrier) as session:
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            chat.agent_leaves()
            left = await session.wait_for(AgentDisconnected, timeout=5)
            assert left.reason_code is None
            assert "eventAttributes" not in chat.events[-1]
            await session.send_message("anybody?", until="echoed")
            chat.agent_joins("Alan")
            chat.agent_says("Me")
            await session.wait_for(MessageReceived, timeout=5)
            chat.close()
            assert (await session.wait_for(SessionEnded, timeout=5)).reason is EndReason.CLOSED
            assert shown(await everything(session)) == [
                "Ada joined",
                "Grace joined",
                "Grace left",
                "anybody?",
                "Alan joined",
                "Me",
                "Alan left",
                "ended closed",
            ]

    asyncio.run(main())


@pytest.mark.parametrize(("carrier", "errors_at"), PLACES)
def test_a_refused_chat_says_why(carrier: str, errors_at: Any):
    """Sections 2.5 and 3.4: the error arrives, in whichever of the three places it stands."""

    async def main() -> None:
        async with strict(quirks=Quirks(errors_at=errors_at)) as server:
            server.refuse_chats = (240, "A new chat cannot be started at the moment.")
            with pytest.raises(RefusedError, match="cannot be started at the moment") as caught:
                await start(server, carrier)
            assert caught.value.code == 240

    asyncio.run(main())


@pytest.mark.parametrize(("carrier", "errors_at"), PLACES)
def test_249_on_a_dead_session_rejects_the_message(carrier: str, errors_at: Any):
    """Section 2.5: a late send gets 249, statusCode 2, chatEnded true. It is not repeated, and the chat is over."""

    async def main() -> None:
        async with strict(quirks=Quirks(errors_at=errors_at)) as server:
            session = await start(server, carrier)
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            await session.wait_for(AgentConnected, timeout=5)
            chat.ended = True  # Chat Server has lost it; nobody was told
            with pytest.raises(SendRejectedError) as caught:
                await session.send_message("anybody?")
            assert caught.value.code == 249
            assert "anybody?" not in chat.texts
            if errors_at == "data":
                await session.wait_for(SessionEnded, timeout=5)
            await session.detach()

    asyncio.run(main())


def test_status_1_is_tried_over_and_nothing_in_it_is_trusted():
    """Section 2.4: statusCode 1 may pass; no other field of that answer is used."""

    async def main() -> None:
        async with strict() as server, start(server, "rest") as session:
            chat = await server.next_chat()
            server.busy_polls = 2
            chat.agent_joins("Grace")
            await session.wait_for(AgentConnected, timeout=10)
            await session.send_message("Hello", until="echoed")
            assert server.busy_polls == 0

    asyncio.run(main())


def test_a_quiet_rest_chat_is_kept_alive():
    """Section 2.6: who sends no request for a while is removed; polling goes on while nothing happens."""

    async def main() -> None:
        async with strict(removal_time=1.5) as server, start(server, "rest") as session:
            chat = await server.next_chat()
            await chat.until(lambda: chat.operations.count("refresh") >= 12, timeout=20)
            chat.agent_joins("Grace")
            await session.wait_for(AgentConnected, timeout=5)
            assert not chat.ended

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_transcript_is_read_without_being_played_again(carrier: str):
    """Section 2.2: position 1 is everything; 3.3: so is it on CometD. Readers see each event once."""

    async def main() -> None:
        async with strict() as server, start(server, carrier) as session:
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            for number in range(5):
                chat.agent_says(str(number))
            await session.wait_for(MessageReceived, lambda event: event.text == "4", timeout=5)
            transcript = await session.get_transcript()
            assert shown(transcript) == ["Ada joined", "Grace joined", "0", "1", "2", "3", "4"]
            assert shown(await session.get_transcript(from_index=6)) == ["3", "4"]
            await session.leave()
            assert shown(await everything(session)) == [*shown(transcript), "ended left"]

    asyncio.run(main())


@pytest.mark.parametrize("carrier", ["websocket", "long-polling"])
def test_a_start_that_is_given_up_leaves_in_order(carrier: str):
    """Section 3.2: after ``disconnect`` the connection is kept until chatEnded, also when nobody waits for the chat."""

    async def main() -> None:
        async with strict(quirks=Quirks(slow_start=0.3, late_end=0.3)) as server:
            starting = asyncio.ensure_future(start(server, carrier))
            chat = await server.next_chat()
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            await chat.until(lambda: chat.ended)
            await server.cometd.until_gone()

    asyncio.run(main())


async def away(server: StrictGms, carrier: str, place: Path) -> tuple[Any, dict[str, Any]]:
    """A chat whose owner has gone away, and what takes it up again."""
    stored = {"storage_options": {"directory": str(place / "state")}, "max_offline_duration": 60}
    session = await start(server, carrier, **stored)
    chat = await server.next_chat()
    chat.agent_joins("Grace")
    await session.wait_for(AgentConnected, timeout=5)
    chat.resting = True
    await session.detach()
    return chat, {**options_for(carrier), **stored}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_chat_that_ended_meanwhile_is_shown_to_its_end(carrier: str, tmp_path: Path):
    """Section 2.4: statusCode 0 with chatEnded: deliver the messages, then end."""

    async def main() -> None:
        async with strict() as server:
            chat, options = await away(server, carrier, tmp_path)
            chat.agent_says("Bye")
            chat.close()
            session = await chat_core.restore_session(**options)
            assert (await session.wait_for(SessionEnded, timeout=5)).reason is EndReason.CLOSED
            lines = shown(await everything(session))
            assert lines == ["Ada joined", "Grace joined", "Bye", "Grace left", "ended closed"]
            await session.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_chat_that_the_server_lost_is_not_restored(carrier: str, tmp_path: Path):
    """Section 2.6: a late restoration fails with an error answer, here the 249 form."""

    async def main() -> None:
        async with strict() as server:
            chat, options = await away(server, carrier, tmp_path)
            chat.ended = chat.told_end = True
            with pytest.raises(chat_core.NoSessionToRestore):
                await chat_core.restore_session(**options)

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_another_chat_server_takes_over(carrier: str):
    """Section 2.6: the signs are a new alias and a ParticipantLeft with reason 8; the chat goes on."""

    async def main() -> None:
        async with strict() as server, start(server, carrier) as session:
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            await session.wait_for(AgentConnected, timeout=5)
            chat.alias = "1323"
            chat.agent_leaves(reason="8")
            assert (await session.wait_for(AgentDisconnected, timeout=5)).reason_code == "8"
            chat.agent_joins("Grace")
            await session.send_message("still there?", until="echoed")
            await session.leave()
            lines = ["Ada joined", "Grace joined", "Grace left", "Grace joined", "still there?", "ended left"]
            assert shown(await everything(session)) == lines

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_two_chats_at_once_do_not_mix(carrier: str):
    """Section 3.2: one CometD connection serves one chat session; each has its own cookie and keys."""

    async def main() -> None:
        async with strict() as server, start(server, carrier) as one, start(server, carrier) as other:
            for number, session in enumerate((one, other)):
                chat = await server.next_chat()
                chat.agent_joins(f"Agent {number}")
                await session.wait_for(AgentConnected, timeout=5)
                await session.send_message(f"to {number}", until="echoed")
                await chat.hears(f"to {number}")
                chat.agent_says(f"from {number}")
                assert (await session.wait_for(MessageReceived, timeout=5)).text == f"from {number}"
            assert [chat.texts for chat in server.chats] == [["to 0", "from 0"], ["to 1", "from 1"]]

    asyncio.run(main())


@pytest.mark.parametrize("carrier", ["websocket", "long-polling"])
def test_the_documented_form_of_the_cookie(carrier: str, tmp_path: Path):
    """Section 3.1: 27 characters, with SameSite, HttpOnly, Secure and Partitioned."""

    async def main() -> None:
        async with strict(documented_cookie=True) as server:
            await whole_chat(server, carrier, tmp_path)

    asyncio.run(main())


def test_a_transcript_that_is_asked_for_does_not_overlap_with_a_poll():
    """Section 9: one poll at a time, also when the session asks for the transcript besides."""

    async def main() -> None:
        async with strict(answer_time=0.2) as server, start(server, "rest") as session:
            chat = await server.next_chat()
            for number in range(4):
                await chat.until(lambda: chat.refreshing)  # a poll is on its way
                transcript = await session.get_transcript()
                assert shown(transcript)[0] == "Ada joined"
                await session.send_message(str(number))

    asyncio.run(main())
