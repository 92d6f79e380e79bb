"""Made-up conversation for `familiar bench memory`: as much as is asked for, the same for the same seed.

What matters for an index is real: word frequencies fall as Zipf's law has it (with Mandelbrot's shift), English
function words at the top and 20,000 invented words below; talk stays with a topic for an episode, and a topic has
words, names and a direction among the meanings of its own. What is said means nothing, so nothing here can tell how
well recall finds, only how fast: that is measured by `familiar eval recall`. Pure but for its random generator.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from memory.messages import Meaning, Query, Turn
from memory.vectors import packed

N_DIMENSIONS = 384
"""Of the embeddings of MiniLM and of the encoder made from it."""

PAIRS = (("Anna", "Luna"), ("Ben", "Luna"), ("Anna", "Rex"), ("Mia", "Luna"))
"""Who talks with whom. The first pair has nine turns in ten, and is the one that is asked about."""

QUERY_KINDS = ("rare words", "common words", "a name", "a time", "long")

_FUNCTION_WORDS = (  # noqa: SIM905  the most frequent words of written English, in about their order
    "the be to of and a in that have i it for not on with he as you do at this but his by from they we say her she or "
    "an will my one all would there their what so up out if about who get which go me when make can like time no just "
    "him know take people into year your good some could them see other than then now look only come its over think "
    "also back after use two how our work first well way even new want because any these give day most us"
).split()
_ONSETS, _VOWELS = (*"bdfgklmnprstvwz", "sh", "ch"), "aeiou"
_N_WORDS = 20_000
_N_TOPICS = 250
_TOPIC_WORDS = 40
_TOPIC_NAMES = 4
_EPISODE_TURNS = 20
_NAMED = 0.04
"""Share of words that are names; and of those that belong to the topic, below."""
_TOPICAL = 0.2
_FIRST_SAID_AT = 1_600_000_000.0
_CHUNK = 1_000

_Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A made-up turn without ids, who had it, and the packed meaning of each of its two utterances."""

    pair: tuple[str, str]
    user_text: str
    reply_text: str
    said_at: float
    embeddings: tuple[bytes, bytes]
    feelings: tuple[bytes, bytes]

    def as_turn(self, conversation_id: int) -> Turn:
        """The turn as the store takes it."""
        person, character = self.pair
        return Turn(
            conversation_id=conversation_id,
            person=person,
            character=character,
            user_text=self.user_text,
            reply_text=self.reply_text,
            said_at=self.said_at,
        )

    def meanings(self, turn_id: int) -> tuple[Meaning, Meaning]:
        """What an encoder would have made of the turn of this id."""
        first, second = (
            Meaning(
                turn_id=turn_id,
                in_reply=in_reply,
                embedding=self.embeddings[in_reply],
                feelings=self.feelings[in_reply],
                importance=0.3,
            )
            for in_reply in (False, True)
        )
        return first, second


class Talk:
    """A world of words, names and topics, and endless talk about them."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = np.random.default_rng(seed)
        invented = self._invented(_N_WORDS + _N_TOPICS * _TOPIC_NAMES)
        self._words = np.array(_FUNCTION_WORDS + invented[:_N_WORDS])
        names = [word.capitalize() for word in invented[_N_WORDS:]]
        self._names = np.array(names).reshape(_N_TOPICS, _TOPIC_NAMES)
        shares = 1.0 / (np.arange(len(self._words)) + 3.7)
        self._cumulated = np.cumsum(shares / shares.sum())
        self._topic_words = self._chance.integers(len(_FUNCTION_WORDS), len(self._words), (_N_TOPICS, _TOPIC_WORDS))
        self._centres = _unit(self._chance.standard_normal((_N_TOPICS, N_DIMENSIONS), dtype=np.float32))

    def turns(self, n: int) -> Iterator[Said]:
        """`n` turns, the oldest first."""
        chance, said_at, topic, pair = self._chance, _FIRST_SAID_AT, 0, PAIRS[0]
        for start in range(0, n, _CHUNK):
            size = min(_CHUNK, n - start)
            begins = chance.random(size) < 1 / _EPISODE_TURNS
            for number in range(size):
                if begins[number] or start + number == 0:
                    topic = int(chance.integers(_N_TOPICS))
                    pair = PAIRS[0] if chance.random() < 0.9 else PAIRS[int(chance.integers(1, len(PAIRS)))]
                    said_at += 4 * 3600
                said_at += 15.0
                yield Said(
                    pair=pair,
                    user_text=self._sentence(topic, 3 + int(chance.poisson(6))),
                    reply_text=self._sentence(topic, 4 + int(chance.poisson(11))),
                    said_at=said_at,
                    embeddings=(self._embedding(topic), self._embedding(topic)),
                    feelings=(self._feelings(), self._feelings()),
                )

    def query(self, kind: str, *, at_s: float, limit: int) -> Query:
        """Something a person might say now, of one of QUERY_KINDS, about one of the topics."""
        chance = self._chance
        topic = int(chance.integers(_N_TOPICS))
        words = self._words[self._topic_words[topic]]
        match kind:
            case "rare words":
                text = " ".join(chance.choice(words, 3))
            case "common words":
                text = " ".join(self._words[chance.integers(0, 150, 6)])
            case "a name":
                text = f"do you remember {chance.choice(self._names[topic])}"
            case "a time":
                text = f"what did we say about the {chance.choice(words)} last week"
            case "long":
                text = self._sentence(topic, 30)
            case _:
                raise ValueError(f"no kind of query is called {kind!r}")
        return Query(
            text=text,
            at=datetime.fromtimestamp(at_s, UTC) + timedelta(hours=4),
            embedding=self._embedding(topic),
            feelings=self._feelings(),
            limit=limit,
            exclude_newest=12,
        )

    def _sentence(self, topic: int, n_words: int) -> str:
        chance = self._chance
        words = self._words[np.searchsorted(self._cumulated, chance.random(n_words))]
        drawn = chance.random(n_words)
        for place in np.flatnonzero(drawn < _NAMED + _TOPICAL):
            if drawn[place] < _NAMED:
                words[place] = self._names[topic, chance.integers(_TOPIC_NAMES)]
            else:
                words[place] = self._words[self._topic_words[topic, chance.integers(_TOPIC_WORDS)]]
        sentence = " ".join(words)
        return f"{sentence[0].upper()}{sentence[1:]}."

    def _embedding(self, topic: int) -> bytes:
        noise = self._chance.standard_normal(N_DIMENSIONS, dtype=np.float32) / np.float32(np.sqrt(N_DIMENSIONS))
        return packed(_unit(self._centres[topic] + noise))

    def _feelings(self) -> bytes:
        feelings = np.zeros(28, dtype=np.uint8)
        feelings[self._chance.integers(28)] = self._chance.integers(60, 255)
        return feelings.tobytes()

    def _invented(self, n: int) -> list[str]:
        """`n` different words that can be spoken."""
        syllables = np.array([onset + vowel for onset in _ONSETS for vowel in _VOWELS])
        words: dict[str, None] = {}
        while len(words) < n:
            drawn = self._chance.integers(len(syllables), size=(n, 4))
            lengths = self._chance.integers(2, 5, size=n)
            words.update(dict.fromkeys("".join(syllables[row[:k]]) for row, k in zip(drawn, lengths, strict=True)))
        return list(words)[:n]


def _unit(vectors: _Vector) -> _Vector:
    unit: _Vector = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
