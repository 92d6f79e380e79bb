"""A life of the program that `tools.kill_memory` ends: it writes, sleeps, forgets and contradicts itself, and says so.

Runs in a process of its own until it is killed. Through a pipe it sends a pair at each border of an operation: `begins`
with what is about to be done, and `done` once the store has returned, which is what acknowledged means here.
"""

import random
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from memory import facts, forgetting, sleep
from memory.messages import Fact, Turn
from memory.relations import SPEAKER
from memory.selecting import Selection
from memory.store import MemoryStore

PERSON, CHARACTER = "Anna", "Luna"
HOME, BIRTHDAY = "lives_in", "birthday"
"""Two relations of which one value holds at a time: a new home ends the old one, a new birthday corrects it."""

_LIFE_S = 10_000.0
_FORGETTABLE = 400
_OPERATIONS = {"talk": 8, "record": 3, "describe": 2, "sleep": 3, "forget": 3, "wipe": 1}
"""How often each is done, relative to the others."""

Said = Mapping[str, str | int]


class Life:
    """One life in the memory at `path`; `number` makes its words and its times its own."""

    def __init__(self, path: Path, number: int, to_parent: Connection) -> None:
        self._path = path
        self._number = number
        self._to_parent = to_parent
        self._chance = random.Random(number)  # noqa: S311  nothing here is secret
        self._n_said = 0

    def live(self) -> None:
        """Until killed."""
        self._say("begins", "open")
        with MemoryStore(self._path) as store:
            conversation = store.open_conversation(PERSON, CHARACTER)
            self._say("done", "open")
            names, weights = zip(*_OPERATIONS.items(), strict=True)
            while True:
                match self._chance.choices(names, weights)[0]:
                    case "talk":
                        self._talk(store, conversation, "a dragon in the garden")
                    case "record":
                        self._record(store, conversation)
                    case "describe":
                        self._describe(store)
                    case "sleep":
                        self._sleep(store)
                    case "forget":
                        self._forget(store)
                    case _:
                        self._wipe(store)

    def _talk(self, store: MemoryStore, conversation: int, about: str) -> int:
        self._n_said += 1
        # No such word is the beginning of another one: the index abbreviates words to their beginnings.
        text = f"I saw w{self._number}q{self._n_said}z, {about}."
        self._say("begins", "talk", text=text)
        turn = store.commit_turn(
            Turn(
                conversation_id=conversation,
                person=PERSON,
                character=CHARACTER,
                user_text=text,
                reply_text="Tell me more of it. " * self._chance.randrange(20),
                said_at=self._now_s(),
            )
        )
        assert turn.turn_id is not None
        self._say("done", "talk", turn_id=turn.turn_id, text=text)
        return turn.turn_id

    def _record(self, store: MemoryStore, conversation: int) -> None:
        relation = self._chance.choice((HOME, BIRTHDAY))
        value = f"Town{self._number}q{self._n_said + 1}"
        turn_id = self._talk(store, conversation, value)
        self._say("begins", "record", relation=relation, value=value)
        fact = Fact(subject=SPEAKER, relation=relation, object=value, recorded_from=self._now_s(), turn_ids=(turn_id,))
        facts.record(store, PERSON, CHARACTER, [fact], self._now_s())
        self._say("done", "record", relation=relation, value=value)

    def _describe(self, store: MemoryStore) -> None:
        """Meanings as an encoder gives them, for the newest turns."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO encoders (id, fingerprint) VALUES (1, 'made up')")
            connection.executemany(
                "INSERT OR IGNORE INTO meanings VALUES (?, 1, ?, ?, 0.5)",
                [(2 * turn_id + side, bytes(384), bytes(28)) for turn_id in newest for side in (0, 1)],
            )

        newest = [turn.turn_id for turn in store.last_turns(PERSON, CHARACTER, 5) if turn.turn_id is not None]
        self._say("begins", "describe")
        store.write("describe turns", work)
        self._say("done", "describe")

    def _sleep(self, store: MemoryStore) -> None:
        at = datetime.fromtimestamp(self._now_s() + _LIFE_S, UTC)
        for _ in range(self._chance.randrange(1, 12)):
            self._say("begins", "sleep")
            step = sleep.take_step(store, at)
            self._say("done", "sleep")
            if step is None:
                break

    def _forget(self, store: MemoryStore) -> None:
        """Any turn but those that what holds now was learned from."""
        kept = {turn_id for fact in facts.current(store, PERSON, CHARACTER) for turn_id in fact.turn_ids}
        turn_ids = [
            turn.turn_id for turn in store.last_turns(PERSON, CHARACTER, _FORGETTABLE) if turn.turn_id is not None
        ]
        if free := [turn_id for turn_id in turn_ids if turn_id not in kept]:
            turn_id = self._chance.choice(free)
            self._say("begins", "forget", turn_id=turn_id)
            forgetting.forget(store, Selection(person=PERSON, character=CHARACTER, turn_ids=(turn_id,)))
            self._say("done", "forget", turn_id=turn_id)

    def _wipe(self, store: MemoryStore) -> None:
        self._say("begins", "wipe")
        forgetting.wipe(store)
        self._say("done", "wipe")

    def _now_s(self) -> float:
        """Turns of a life come in episodes of some."""
        return self._number * _LIFE_S + self._n_said // 5 * 2_000.0 + self._n_said

    def _say(self, when: str, operation: str, **what: str | int) -> None:
        self._to_parent.send((when, operation, what))


def live(path: Path, number: int, to_parent: Connection) -> None:
    """What the process runs."""
    Life(path, number, to_parent).live()
