"""The history: what was said and heard, an entry for each turn, and which turn of the memory each of them is.

Forgetting takes out just the entries whose turns are gone; words that memory never had stay. Made from turns that
memory has, or from saved messages that are found in it again. Pure.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from memory.forgetting import containing
from memory.messages import Turn
from models.messages import Message


@dataclass(slots=True, eq=False)
class Entry:
    """One turn: its messages, none where it was too long for a prompt. `turn_id` is None as long as memory does not
    have every word of it, which may be for ever."""

    messages: tuple[Message, ...] = ()
    turn_id: int | None = None


class History:
    """What was said so far, oldest first."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = list(entries)

    @property
    def last(self) -> Entry | None:
        """The newest entry."""
        return self._entries[-1] if self._entries else None

    @property
    def turn_ids(self) -> tuple[int, ...]:
        """The turns that memory has."""
        return tuple(entry.turn_id for entry in self._entries if entry.turn_id is not None)

    @property
    def n_kept(self) -> int:
        """How many of the turns memory has."""
        return len(self.turn_ids)

    @property
    def is_off_record(self) -> bool:
        """Whether there are words here that memory does not have."""
        return any(entry.messages and entry.turn_id is None for entry in self._entries)

    def messages(self, hidden: Collection[int] = ()) -> tuple[Message, ...]:
        """All messages but those of the turns with these ids."""
        return tuple(message for entry in self._shown(hidden) for message in entry.messages)

    def about(self, words: str) -> tuple[Entry, ...]:
        """The entries that memory does not have and in which these words were said, as `Selection.words` means it."""
        entries = [entry for entry in self._entries if entry.turn_id is None]
        texts = [(number, message.text) for number, entry in enumerate(entries) for message in entry.messages]
        found = containing(words, [text for _, text in texts])
        return tuple(entries[number] for number in sorted({texts[at][0] for at in found}))

    def add(self, entry: Entry) -> None:
        """A turn is over."""
        self._entries.append(entry)

    def remove(self, *gone: Entry) -> None:
        """These entries leave, if they are here."""
        self._entries = [entry for entry in self._entries if entry not in gone]

    def keep_only(self, there: Collection[int], *, of: Collection[int]) -> None:
        """Of the turns with the ids `of`, those that are not `there` any more leave. All others stay."""
        gone = set(of) - set(there)
        self._entries = [entry for entry in self._entries if entry.turn_id not in gone]

    def clear(self) -> None:
        """Everything leaves."""
        self._entries.clear()

    def drop_first(self, n_messages: int, hidden: Collection[int] = ()) -> None:
        """The first `n_messages` of `messages(hidden)` leave, with what stands before them."""
        while n_messages > 0 and self._entries:
            entry = self._entries[0]
            n = 0 if entry.turn_id in hidden else len(entry.messages)
            if n > n_messages:
                entry.messages = entry.messages[n_messages:]
                return
            n_messages -= n
            del self._entries[0]

    def _shown(self, hidden: Collection[int]) -> list[Entry]:
        return [entry for entry in self._entries if entry.turn_id is None or entry.turn_id not in hidden]


def entry_of(turn: Turn) -> Entry:
    """What of a turn that memory has stands in a history."""
    both = (Message(role="user", text=turn.user_text), Message(role="assistant", text=turn.reply_text))
    return Entry(messages=tuple(message for message in both if message.text), turn_id=turn.turn_id)


def continued_from(saved: Sequence[Message], turns: Sequence[Turn]) -> list[Entry] | None:
    """What was saved and what memory has after it, `turns` being the newest it has, oldest first; None where memory
    does not have just these messages in a row. Saved messages keep their tokens."""
    flat = [(entry, message) for entry in map(entry_of, turns) for message in entry.messages]
    texts = [(message.role, message.text.strip()) for _, message in flat]
    wanted = [(message.role, message.text.strip()) for message in saved]
    for start in range(len(texts) - len(wanted), -1, -1):
        if wanted and texts[start : start + len(wanted)] == wanted:
            after = [message for _, message in flat[start + len(wanted) :]]
            return _entries(zip((entry for entry, _ in flat[start:]), [*saved, *after], strict=True))
    return None


def _entries(pairs: Iterable[tuple[Entry, Message]]) -> list[Entry]:
    """Entries like those of the pairs, with the messages that stand beside them."""
    found: dict[int | None, list[Message]] = {}
    for entry, message in pairs:
        found.setdefault(entry.turn_id, []).append(message)
    return [Entry(messages=tuple(messages), turn_id=turn_id) for turn_id, messages in found.items()]
