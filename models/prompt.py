"""The prompt: character, conversation and newest words as tokens, in an order that keeps its beginning stable.

    system: persona, standing instructions | examples | history | user: volatile block, newest words | assistant:

What changes from turn to turn (memories, mood, time) comes in just before the newest words, so that everything before
it stands in the KV cache already. Texts of the template are tokenized with control tokens, everything people said or a
character file says as plain text. When it does not fit, whole oldest turns are left out; that they stay away is up to
whoever keeps the history. Pure but for its caches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from models.character import Character
from models.errors import PromptTooLongError
from models.messages import Message, Piece, Prompt, Role
from models.template import ChatTemplate

STANDING_INSTRUCTIONS = "You talk aloud. Answer in one or two short sentences."
"""Said to every character after its persona. Short: a 135M model follows little more, and every token is prefilled."""

_OPENING_WORDS = "Hello!"
"""Stands before a greeting, because many templates refuse an assistant that speaks first."""

_SEPARATOR = "\n\n"
"""Between texts that share one message."""

_IDLE_ROOM_TOKENS = 128
"""Kept free by `build_idle` for the next words and what stands before them (memories, mood, time), but never more than
a quarter of the room: a turn that would have to leave for them leaves while nobody waits."""

_KEPT_SHARE = 0.6
"""How much of the room is still filled after turns have left a cache that cannot shift: the next ones leave some ten
turns later."""

_CACHED_TEXTS = 1024


class Tokenizer(Protocol):
    """What the builder needs of `models.vocabulary.Vocabulary`."""

    leading_token: int | None

    def tokenize(self, text: str, *, parse_special: bool, continues: bool = False) -> tuple[int, ...]: ...

    def is_markup(self, token: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Assembled:
    """All tokens of a prompt, and where in them the newest words stand."""

    tokens: list[int]
    newest_start: int
    newest_end: int


@dataclass(slots=True)
class _Entry:
    """One message as the template sees it: the parts were several messages in a row, or belong in front."""

    role: Role
    parts: list[Message] = field(default_factory=list)


class PromptBuilder:
    """Builds the prompts of one conversation."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        character: Character,
        *,
        n_ctx: int,
        reply_reserve: int,
        can_shift: bool = True,
        instructions: str = STANDING_INSTRUCTIONS,
    ) -> None:
        """`n_ctx` is the size of the context, `reply_reserve` how many of its tokens stay free for the reply. Where the
        engine cannot shift, all that follows a turn that leaves is computed anew: then more of them leave at once."""
        if not 0 < reply_reserve < n_ctx:
            raise ValueError("reply_reserve must be above 0 and below n_ctx")
        self._tokenizer = tokenizer
        self._template = template
        self._budget = n_ctx - reply_reserve
        self._idle_room = min(_IDLE_ROOM_TOKENS, self._budget // 4)
        self._kept_share = 1.0 if can_shift else _KEPT_SHARE
        self._head = _head(character, instructions)
        self._tokenize = lru_cache(_CACHED_TEXTS)(tokenizer.tokenize)

    def build(self, history: Sequence[Message], user_text: str, volatile: str = "") -> Prompt:
        """The prompt for a reply to `user_text`, `history` being everything said before, by user and assistant.

        Raises PromptTooLongError when even without history it does not fit, TemplateError when the template fails.
        """
        newest = _newest(user_text, volatile)
        prompt, n_dropped = self._within_budget(history, newest)
        messages = self._chat(history[n_dropped:], newest)
        return Prompt(tokens=tuple(prompt.tokens), n_messages_dropped=n_dropped, messages=messages)

    def build_open(self, history: Sequence[Message], user_text: str, volatile: str = "") -> Prompt:
        """The beginning of `build`'s prompt, up to the end of `user_text`, which may still go on."""
        prompt, n_dropped = self._within_budget(history, _newest(user_text, volatile))
        return Prompt(tokens=tuple(prompt.tokens[: prompt.newest_end]), n_messages_dropped=n_dropped)

    def build_idle(self, history: Sequence[Message]) -> Prompt:
        """The beginning of the next prompt, up to where the newest words will stand, whatever they are (unless they are
        so long that another turn must leave). For bringing the KV cache up to date while the reply is spoken."""
        prompt, n_dropped = self._fit(history, "", self._budget - self._idle_room)
        return Prompt(tokens=tuple(prompt.tokens[: prompt.newest_start]), n_messages_dropped=n_dropped)

    def _within_budget(self, history: Sequence[Message], newest: str) -> tuple[_Assembled, int]:
        prompt, n_dropped = self._fit(history, newest, self._budget)
        if len(prompt.tokens) > self._budget:
            raise PromptTooLongError(
                f"the character and the newest words have {len(prompt.tokens)} tokens, but only {self._budget} fit; "
                "shorten the persona or give it a larger context"
            )
        return prompt, n_dropped

    def _fit(self, history: Sequence[Message], newest: str, budget: int) -> tuple[_Assembled, int]:
        """The prompt, and how many messages were left out to come within the budget (all of them, if that is not
        possible)."""
        n_dropped = 0
        sizes = [len(self._content(message, continues=True)) for message in history]
        # A quick first cut, without the template's text and so never too deep.
        while sum(sizes[n_dropped:]) > budget and n_dropped < len(history):
            n_dropped = _next_turn(history, n_dropped)
        prompt = self._assemble(history[n_dropped:], newest)
        if n_dropped or len(prompt.tokens) > budget:
            budget = int(budget * self._kept_share)
        while len(prompt.tokens) > budget and n_dropped < len(history):
            n_dropped = _next_turn(history, n_dropped)
            prompt = self._assemble(history[n_dropped:], newest)
        return prompt, n_dropped

    def _assemble(self, history: Sequence[Message], newest: str) -> _Assembled:
        entries = self._entries(history)
        tokens: list[int] = []
        newest_start = newest_end = 0
        lead = ""
        segments = self._template.render([entry.role for entry in entries])
        for number, segment in enumerate(segments):
            if isinstance(segment, str):
                # A space before a word is part of the word's token. Where the reply is to follow, the model continues.
                text = segment if number + 1 == len(segments) else segment.removesuffix(" ")
                lead = segment[len(text) :]
                tokens += self._tokenize(text, parse_special=True, continues=self._continues(tokens))
                continue
            entry = entries[segment]
            for part in entry.parts:
                tokens += self._content(part, continues=self._continues(tokens), lead=lead)
                lead = _SEPARATOR
            if entry is entries[-1]:
                newest_start = len(tokens)
                last = Message(role="user", text=newest)
                tokens += self._content(last, continues=self._continues(tokens), lead=lead)
                newest_end = len(tokens)
            lead = ""
        leading = self._tokenizer.leading_token
        if leading is not None and tokens[0] != leading:
            return _Assembled([leading, *tokens], newest_start + 1, newest_end + 1)
        return _Assembled(tokens, newest_start, newest_end)

    def _chat(self, history: Sequence[Message], newest: str) -> tuple[Message, ...]:
        """The conversation as text. The system text stays a message of its own, whatever the template here thinks of
        it: what reads this has another template."""
        entries = self._alternating(history)
        entries[-1].parts.append(Message(role="user", text=newest))
        return tuple(
            Message(role=entry.role, text=_SEPARATOR.join(filter(None, (part.text.strip() for part in entry.parts))))
            for entry in entries
        )

    def _entries(self, history: Sequence[Message]) -> list[_Entry]:
        """The conversation as the template accepts it."""
        entries = self._alternating(history)
        if not self._template.supports_system:
            system = entries.pop(0)
            entries[0].parts[:0] = system.parts
        return entries

    def _alternating(self, history: Sequence[Message]) -> list[_Entry]:
        """The conversation with roles that alternate; the user begins and has the last word."""
        said = [message for message in history if message.text.strip()]
        if said and said[0].role == "assistant":
            said.insert(0, Message(role="user", text=_OPENING_WORDS))
        entries: list[_Entry] = []
        for message in (*self._head, *said):
            if entries and entries[-1].role == message.role:
                entries[-1].parts.append(message)
            else:
                entries.append(_Entry(message.role, [message]))
        if entries[-1].role != "user":
            entries.append(_Entry("user"))
        return entries

    def _content(self, message: Message, *, continues: bool, lead: str = "") -> tuple[int, ...]:
        """The tokens of a message with `lead` in front of it; none of a blank one."""
        if message.tokens:
            return self._tokenize(lead, parse_special=False, continues=continues) + message.tokens
        text = message.text.strip()
        return self._tokenize(lead + text if text else "", parse_special=False, continues=continues)

    def _continues(self, tokens: list[int]) -> bool:
        return bool(tokens) and not self._tokenizer.is_markup(tokens[-1])


def _newest(user_text: str, volatile: str) -> str:
    return _SEPARATOR.join(text.strip() for text in (volatile, user_text) if text.strip())


def _next_turn(history: Sequence[Message], start: int) -> int:
    """Where the next turn begins: a user's message after a reply."""
    for index in range(start + 1, len(history)):
        if (history[index - 1].role, history[index].role) == ("assistant", "user"):
            return index
    return len(history)


def cut_reply(tokenizer: Tokenizer, pieces: Sequence[Piece], end: int) -> Message | None:
    """The message for a reply of which the first `end` characters were heard; None when no word was.

    The tokens of whole pieces are kept as the model made them, so that they are found in the KV cache; what of the text
    lies beyond them is tokenized.
    """
    whole = "".join(piece.text for piece in pieces)
    text = whole if end >= len(whole) else whole[:end].rstrip()
    if not text.strip():
        return None
    tokens: tuple[int, ...] = ()
    covered = 0
    for piece in pieces:
        if not piece.text and not piece.tokens:
            continue  # it only says that the reply has begun
        if not piece.tokens or covered + len(piece.text) > len(text):
            break
        tokens += piece.tokens
        covered += len(piece.text)
    if tokens and covered < len(text):
        tokens += tokenizer.tokenize(text[covered:], parse_special=False, continues=True)
    return Message(role="assistant", text=text, tokens=tokens)


def _head(character: Character, instructions: str) -> tuple[Message, ...]:
    """What stands before every conversation."""
    head = [Message(role="system", text=f"{character.persona}\n{instructions}".strip())]
    for example in character.examples:
        head += [Message(role="user", text=example.user), Message(role="assistant", text=example.reply)]
    return tuple(head)
