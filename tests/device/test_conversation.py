"""The conversation: a turn is prepared early, answered aloud, traced and recorded."""

import asyncio
import time
from pathlib import Path

import pytest

from device.display import CharacterSays, Notice, PersonSays, StateChanged
from device.errors import FamiliarError
from device.timeline import stages, turn_events
from device.trace import Value
from firmware_bridge.body import ExpressionName
from models.messages import Finished
from tests.device.fakes import ANSWERED_TURN, running, said, scene, user_words
from tests.voice.scripted_ears import until

REPLY = "Hello my little one. I like the garden. Do you like it too?"


# A turn ---------------------------------------------------------------------------------------------------------------


def test_a_turn_is_answered_aloud_and_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY, "Good.", by_itself=True) as room, running(room):
            room.person.says("What do you like?")
            await room.until("reply_done", turn=1)
            room.person.says("Yes.")
            await room.until("reply_done", turn=2)

            assert room.voice.said == ["Hello my little one.", "I like the garden.", "Do you like it too?", "Good."]
            assert said(room.dialogue) == [
                ("user", "What do you like?"),
                ("assistant", REPLY),
                ("user", "Yes."),
                ("assistant", "Good."),
            ]
            assert await room.remembered() == [("What do you like?", REPLY, False), ("Yes.", "Good.", False)]
            assert REPLY in room.brain.prompts[1]

    asyncio.run(main())


def test_the_trace_has_the_events_of_a_turn_in_order(tmp_path: Path) -> None:
    async def main() -> list[dict[str, Value]]:
        async with scene(tmp_path, REPLY) as room, running(room):
            room.person.says("What do you like?")
            await room.until("first_audio_queued")
            room.speaker.by_itself = True
            await room.until("reply_done")
            return room.records

    records = [record for record in asyncio.run(main()) if record["event"] != "cache_settled"]
    assert tuple(record["event"] for record in records) == ANSWERED_TURN
    assert {(record["turn"], record["revision"]) for record in records} == {(1, 0)}
    of = {str(record["event"]): record for record in records}
    assert (of["speech_started"]["t_s"], of["speech_ended"]["t_s"]) == (1.0, 1.5)
    assert of["asr_final"]["text"] == "What do you like?"
    assert of["reply_done"]["text_heard"] == REPLY
    assert of["prompt_ready"]["n_prefilled"] == 1
    assert isinstance(of["prompt_ready"]["n_reused"], int)
    times = [record["t_s"] for record in records[2:]]
    assert times == sorted(times, key=lambda t_s: float(str(t_s)))


def test_the_greeting_is_spoken_and_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, by_itself=True) as room, running(room, greeting="Hello! I am Pip."):
            await room.until("reply_done")
            assert await room.remembered() == [("", "Hello! I am Pip.", False)]
            assert said(room.dialogue) == [("assistant", "Hello! I am Pip.")]

    asyncio.run(main())


def test_a_greeting_needs_no_model(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, by_itself=True) as room, running(room, greeting="Hello! I am Pip."):
            await room.until("reply_done")
            assert {"first_clause", "first_audio_heard"} <= set(room.events(0))
            assert not {"prompt_ready", "first_token"} & set(room.events(0))

    asyncio.run(main())


def test_the_cache_is_settled_while_the_reply_is_spoken(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY) as room, running(room):
            room.person.says("What do you like?")
            await room.until("cache_settled")
            assert "reply_done" not in room.events(1)
            assert room.brain.prefills[-1].endswith(f"{REPLY}<|im_end|>\n<|im_start|>user\n")
            room.speaker.by_itself = True
            await room.until("reply_done")

    asyncio.run(main())


def test_a_person_sees_state_words_and_reply(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.murmurs("How")
            room.person.pauses("How are you?")
            room.person.ends("How are you?")
            await room.until("reply_done")
            await room.idle()
            assert [u.state for u in room.display.updates if isinstance(u, StateChanged)] == [
                "listening",
                "hearing",
                "thinking",
                "speaking",
                "listening",
            ]
            assert [u for u in room.display.updates if isinstance(u, PersonSays)] == [
                PersonSays(text="How", final=False),
                PersonSays(text="How are you?", final=True),
            ]
            assert CharacterSays(text="Good.", final=True) in room.display.updates

    asyncio.run(main())


def test_a_reply_cut_by_its_length_ends_with_its_last_whole_clause(tmp_path: Path) -> None:
    async def main() -> None:
        steps = (REPLY[: REPLY.index(" it too")], Finished(reason="max_tokens"))
        async with scene(tmp_path, steps, by_itself=True) as room, running(room):
            room.person.says("What do you like?")
            await room.until("reply_done")
            assert room.voice.said == ["Hello my little one.", "I like the garden."]
            assert await room.remembered() == [("What do you like?", "Hello my little one. I like the garden.", False)]

    asyncio.run(main())


def test_a_reply_cut_right_after_a_sentence_keeps_it(tmp_path: Path) -> None:
    async def main() -> None:
        whole = "Hello my little one. I like the garden."
        steps = (whole, Finished(reason="max_tokens"))
        async with scene(tmp_path, steps, by_itself=True) as room, running(room):
            room.person.says("What do you like?")
            await room.until("reply_done")
            assert room.voice.said == ["Hello my little one.", "I like the garden."]
            assert await room.remembered() == [("What do you like?", whole, False)]

    asyncio.run(main())


def test_a_reply_cut_by_its_length_within_its_first_clause_is_spoken(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, ("I like", Finished(reason="max_tokens")), by_itself=True) as room, running(room):
            room.person.says("What do you like?")
            await room.until("reply_done")
            assert room.voice.said == ["I like"]

    asyncio.run(main())


def test_gestures_reach_the_body_when_the_words_before_them_were_heard(tmp_path: Path) -> None:
    async def main() -> None:
        reply = "Hello my little one. *waves* I like the garden. *does something odd*"
        async with scene(tmp_path, reply) as room, running(room):
            room.person.says("Hello.")
            await room.until("cache_settled")
            await room.hear(reply, "little")
            assert room.body.expressed == []
            await room.hear(reply, "one.")
            await until(lambda: [each.name for each in room.body.expressed] == [ExpressionName.WAVE])
            room.speaker.by_itself = True
            await room.until("reply_done")
            gestures = [record for record in room.records if record["event"] == "gesture"]
            assert [record["words"] for record in gestures] == ["waves", "does something odd"]
            assert [record["expression"] for record in gestures] == ["wave", None]
            assert len(room.body.expressed) == 1

    asyncio.run(main())


def test_a_reply_of_a_gesture_alone_is_made_and_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "*nods*", by_itself=True) as room, running(room):
            room.person.says("Really?")
            await room.until("reply_done")
            assert len(await room.remembered()) == 1

    asyncio.run(main())


def test_an_empty_reply_ends_the_turn(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "", "Good.", by_itself=True) as room, running(room):
            room.person.says("Really?")
            await room.until("reply_done", turn=1)
            room.person.says("Hello?")
            await room.until("reply_done", turn=2)
            assert await room.remembered() == [("Really?", "", False), ("Hello?", "Good.", False)]

    asyncio.run(main())


# Preparing ------------------------------------------------------------------------------------------------------------


def test_what_was_prepared_at_the_pause_is_used_when_the_words_stay_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are you?")
            await until(lambda: user_words(room.brain.prefills) == ["How are you?"])
            room.person.ends("How are you?")
            await room.until("reply_done")
            assert user_words(room.brain.prefills) == ["How are you?"]

    asyncio.run(main())


def test_a_preparation_still_under_way_at_the_end_of_the_turn_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.brain.prefilling.clear()
            room.person.begins()
            room.person.pauses("How are you?")
            await until(lambda: len(room.brain.prefills) == 1)
            room.person.ends("How are you?")
            await room.until("asr_final")
            room.brain.prefilling.set()
            await room.until("reply_done")
            assert user_words(room.brain.prefills) == ["How are you?"]

    asyncio.run(main())


def test_what_was_prepared_is_dropped_when_the_final_words_differ(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are")
            room.person.ends("How old are you?")
            await room.until("reply_done")
            assert user_words(room.brain.prompts) == ["How old are you?"]

    asyncio.run(main())


def test_what_was_prepared_is_dropped_when_the_person_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.brain.prefilling.clear()
            room.person.begins()
            room.person.pauses("How are you")
            await until(lambda: user_words(room.brain.prefills) == ["How are you"])
            room.person.resumes()
            await until(lambda: room.brain.n_dropped == 1)
            room.person.pauses("How are you today?")
            await until(lambda: len(room.brain.prefills) == 2)
            room.brain.prefilling.set()
            room.person.ends("How are you today?")
            await room.until("reply_done")
            assert user_words(room.brain.prefills) == ["How are you", "How are you today?"]
            assert {record["revision"] for record in room.records if record["event"] == "reply_done"} == {1}

    asyncio.run(main())


def test_preparing_has_no_effect_that_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as room, running(room):
            room.person.begins()
            room.person.pauses("How are you?")
            await until(lambda: len(room.brain.prefills) == 1)
            room.person.resumes()
            room.person.ends("")
            await room.until("asr_final")
            await room.idle()
            assert (said(room.dialogue), await room.remembered()) == ([], [])
            assert "recall_done" not in room.events(1)

    asyncio.run(main())


def test_what_was_prepared_in_the_silence_costs_the_turn_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are you?")
            await until(lambda: len(room.brain.prefills) == 1)
            room.person.ends("How are you?")
            await room.until("reply_done")
            at_s = [
                float(str((await room.until(name))["t_s"])) for name in ("asr_final", "recall_done", "prompt_ready")
            ]
            assert at_s == sorted(at_s)
            assert at_s[-1] - at_s[0] < 0.05

    asyncio.run(main())


def test_a_slow_prefill_has_its_own_row_in_the_timeline(tmp_path: Path) -> None:
    async def main() -> None:
        slow_s = 0.05
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.brain.prefilling.clear()
            room.person.begins()
            room.person.ends("How are you?")
            await until(lambda: len(room.brain.prefills) == 1)
            asked_s = time.monotonic()
            await until(lambda: time.monotonic() > asked_s + slow_s)
            room.brain.prefilling.set()
            await room.until("reply_done")
            took_ms = {
                stage.event: stage.took_ms for stage in stages({"speech_ended": 0.0} | turn_events(room.records, 1))
            }
            assert took_ms["prompt_ready"] >= slow_s * 1e3
            assert took_ms["recall_done"] < took_ms["prompt_ready"]

    asyncio.run(main())


def test_a_prefill_that_was_stopped_is_told_as_the_reply_made_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.brain.superseded = True
            room.person.says("How are you?")
            ready = await room.until("prompt_ready")
            assert int(str(ready["n_reused"])) > 0
            await room.until("reply_done")
            assert room.events(1).index("recall_done") < room.events(1).index("prompt_ready")

    asyncio.run(main())


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_a_full_disk_costs_the_trace_and_no_words(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")

    async def main() -> None:
        async with scene(tmp_path, "Good.", "Fine.", by_itself=True, trace_file=full) as room:
            async with running(room):
                room.person.says("How are you?")
                await room.until("reply_done", turn=1)
                room.person.says("And now?")
                await room.until("reply_done", turn=2)
            assert await room.remembered() == [("How are you?", "Good.", False), ("And now?", "Fine.", False)]

    with pytest.raises(FamiliarError, match="cannot write the trace"):
        asyncio.run(main())


def test_lost_speech_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.falls_silent()
            room.person.tell(room.person.heard("How are you?", final=True, lost_s=1.5))
            assert "1.5 s" in str((await room.until("degraded", turn=1))["what"])
            await room.until("reply_done")
            assert len([update for update in room.display.updates if isinstance(update, Notice)]) == 1

    asyncio.run(main())


def test_faults_of_the_sound_are_told_in_the_turn_in_which_they_came(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", "Fine.", "Well.", by_itself=True) as room, running(room):
            for turn, count in ((1, 2), (2, 2), (3, 5)):
                room.sound_faults["gaps"] = count
                room.person.says("Hello?")
                await room.until("reply_done", turn=turn)
            told = [(record["turn"], record["what"]) for record in room.records if record["event"] == "degraded"]
            assert told == [(1, "Trouble with the sound: 2 gaps."), (3, "Trouble with the sound: 3 gaps.")]
            assert [u.text for u in room.display.updates if isinstance(u, Notice)] == [what for _, what in told]

    asyncio.run(main())


def test_more_words_than_the_model_takes_in_are_refused_aloud_and_the_conversation_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", "Fine.", by_itself=True, n_ctx=700) as room, running(room):
            room.person.says("Hi.")
            await room.until("reply_done", turn=1)
            room.person.says("word " * 300)
            await room.until("degraded")
            room.person.says("Hello?")
            await room.until("reply_done", turn=3)
            assert any(isinstance(update, Notice) for update in room.display.updates)
            assert user_words(room.brain.prompts) == ["Hi.", "Hello?"]
            assert said(room.dialogue)[:2] == [("user", "Hi."), ("assistant", "Good.")], "nothing was pushed out"
            assert [user_text[:6] for user_text, _, _ in await room.remembered()] == ["Hi.", "word w", "Hello?"]

    asyncio.run(main())
