"""`familiar eval recall`: of the utterances that answer a question, how many recall brings back, and by what.

Conversations in LoCoMo's format (`tools.locomo`) become the turns of a person (the first speaker) and a character (the
second), one store for each, and every question is asked after the last of them: of the very store and the very recall
that the companion uses, with the gate open, so that there are always as many utterances as are asked for. What is
counted is the share of a question's evidence among the first 5 and the first 10 utterances, then averaged over the
questions. Captions of pictures are no part of what was said, but for the row that says so.

A store's own parts can be left out one by one (`Variant`). Two rows stand beside them for comparison: FTS5's bm25 over
weighted columns, and the sum of that with half the cosine. What the figures look like is left to
`tools.eval_recall_report`.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from memory.asking import in_first_person
from memory.importance import importance
from memory.meanings import store_meanings
from memory.messages import Meaning, Query, Recalled, Strategy, Turn
from memory.recall import recall
from memory.scoring import USUAL, Weights
from memory.store import MemoryStore
from memory.vectors import cosines, packed, packed_shares
from memory.words import query_words
from models.encoder import SHIPPED, Encoder
from tools.locomo import Conversation, Said, TurnId, read_conversations

Say = Callable[[str], None]

AMONG = (5, 10)
ADVERSARIAL = 5
"""The category of questions whose answer the other speaker gave: recall is asked for the evidence all the same."""

STRATEGIES: tuple[Strategy, ...] = ("none", "c-a", "c-m", "s-c", "s-s")

_BM25 = """
    SELECT rowid, -bm25(utterances, 1.0, 2.0, 1.0, 0.5) FROM utterances WHERE utterances MATCH ?
"""
_WARM_UP = 3
"""Questions that are not timed: the first one reads the store into RAM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to recall. `baseline`: not Familiar's, but FTS5's ranking, alone or with half the cosine."""

    name: str
    weights: Weights = USUAL
    strategy: Strategy = "c-a"
    rephrased: bool = True
    """Whether the encoder sees the question in the first person, as `memory.asking` puts it."""
    captions: bool = False
    baseline: float | None = None
    """What a cosine counts beside bm25."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Of the evidence, the share found among the first 5 and the first 10; over so many questions."""

    at_5: float
    at_10: float
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one variant finds: over all questions, over categories 1 to 4, and by category and by conversation."""

    name: str
    strategy: Strategy
    all: Shares
    without_adversarial: Shares
    categories: Mapping[int, Shares]
    conversations: Mapping[str, Shares]
    p50_ms: float
    p99_ms: float
    """Processor time of a recall on one core, without the encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured on one file."""

    utterances: int
    n_unanswered: int
    n_unknown: int
    encoder: str
    measured: tuple[Measured, ...]


_WORDS_ALONE = Weights(
    meaning=0, asked_about=0, statement=0, answer=0, time=0, recency=0, importance=0, feeling=0,
    answered=0, beside=0, near=0,
)  # fmt: skip
_WITH_MEANING = replace(_WORDS_ALONE, meaning=USUAL.meaning)
_WITH_NEIGHBOURS = replace(_WITH_MEANING, answered=USUAL.answered, beside=USUAL.beside, near=USUAL.near)
_WITH_SPEAKER = replace(_WITH_NEIGHBOURS, asked_about=USUAL.asked_about)
_WITH_STATEMENT = replace(_WITH_SPEAKER, statement=USUAL.statement)
_WITH_TIME = replace(_WITH_STATEMENT, time=USUAL.time)
_WITH_ANSWER = replace(_WITH_TIME, answer=USUAL.answer)

ABLATION = (
    Variant(name="bm25 of FTS5, weighted columns", baseline=0.0),
    Variant(name="  + 0.5 x cosine", baseline=0.5),
    Variant(name="words alone", weights=_WORDS_ALONE, strategy="none"),
    Variant(name="meaning alone", weights=replace(_WITH_MEANING, words=0), strategy="none"),
    Variant(name="words + meaning", weights=_WITH_MEANING, strategy="none"),
    Variant(name="  + neighbours", weights=_WITH_NEIGHBOURS, strategy="none"),
    Variant(name="  + who is asked about", weights=_WITH_SPEAKER, strategy="none"),
    Variant(name="  + statements before questions", weights=_WITH_STATEMENT, strategy="none"),
    Variant(name="  + time asked about", weights=_WITH_TIME, strategy="none"),
    Variant(name="  + kind of answer", weights=_WITH_ANSWER, strategy="none"),
    Variant(name="all but words", weights=replace(USUAL, words=0)),
    Variant(name="all but meaning", weights=replace(USUAL, meaning=0)),
    Variant(name="all but the first person", rephrased=False),
    Variant(name="all but neighbours", weights=replace(USUAL, answered=0, beside=0, near=0)),
    Variant(name="all but who is asked about", weights=replace(USUAL, asked_about=0)),
    Variant(name="all but statements first", weights=replace(USUAL, statement=0)),
    Variant(name="all but the time asked about", weights=replace(USUAL, time=0)),
    Variant(name="all but the kind of answer", weights=replace(USUAL, answer=0)),
    Variant(name="all but recency and importance", weights=replace(USUAL, recency=0, importance=0)),
    *(Variant(name=f"all, feelings: {strategy}", strategy=strategy) for strategy in STRATEGIES if strategy != "c-a"),
    Variant(name="all, with captions", captions=True),
)
"""What is left out or added, row by row; the whole stands before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What the encoder made of a text."""

    embedding: bytes
    feelings: bytes


class Reader:
    """The encoder, which reads each text once."""

    def __init__(self, folder: Path | None) -> None:
        """Load the encoder of a folder, the shipped one without. Raises ModelFileError."""
        self._encoder = Encoder(folder or SHIPPED)
        self._seen: dict[str, _Read] = {}

    @property
    def fingerprint(self) -> str:
        """Of the encoder."""
        return self._encoder.fingerprint

    def read(self, text: str) -> _Read:
        """Embedding and feelings of a text, packed."""
        if text not in self._seen:
            (found,) = self._encoder.encode([text])
            self._seen[text] = _Read(embedding=packed(found.embedding), feelings=packed_shares(found.emotions))
        return self._seen[text]

    def meaning(self, turn: Turn, *, in_reply: bool) -> Meaning:
        """What is stored of one side of a committed turn, as the companion stores it."""
        assert turn.turn_id is not None
        text = turn.reply_text if in_reply else turn.user_text
        read = self.read(text)
        return Meaning(
            turn_id=turn.turn_id,
            in_reply=in_reply,
            embedding=read.embedding,
            feelings=read.feelings,
            importance=importance(text, read.feelings),
        )


def evaluate(
    data: Path, say: Say, *, encoder: Path | None = None, strategy: Strategy = "c-a", ablation: bool = False
) -> Evaluation:
    """Recall of all parts by `strategy`; with `ablation`, and of each of ABLATION.

    Raises ConversationFileError, ModelFileError, or MemoryStoreError where there is no room for the stores.
    """
    conversations = read_conversations(data)
    reader = Reader(encoder)
    with ExitStack() as opened:
        remembered: dict[bool, list[_Remembered]] = {}

        def stores(captions: bool) -> list[_Remembered]:
            if captions not in remembered:
                remembered[captions] = [
                    opened.enter_context(_Remembered(each, reader, say, captions=captions)) for each in conversations
                ]
            return remembered[captions]

        whole = Variant(name="all parts", strategy=strategy)
        measured = []
        for variant in (whole, *(ABLATION if ablation else ())):
            measured.append(_measure(variant, stores(variant.captions)))
            say(f"{variant.name}: {measured[-1].all.at_10:.3f}")
    return Evaluation(
        utterances=sum(len(each.said) for each in conversations),
        n_unanswered=sum(each.n_unanswered for each in conversations),
        n_unknown=sum(each.n_unknown for each in conversations),
        encoder=reader.fingerprint,
        measured=tuple(measured),
    )


class _Remembered:
    """A conversation as the companion would remember it, in a store that is gone afterwards."""

    def __init__(self, conversation: Conversation, reader: Reader, say: Say, *, captions: bool) -> None:
        self.conversation = conversation
        self._reader = reader
        self._say = say
        self._captions = captions
        self._turn_ids: dict[int, TurnId] = {}
        """By utterance id: twice that of the turn, one more for the reply."""
        self._closing = ExitStack()

    def __enter__(self) -> "_Remembered":
        with ExitStack() as opened:
            folder = opened.enter_context(TemporaryDirectory(prefix="familiar-eval-"))
            self._store = opened.enter_context(MemoryStore(Path(folder) / "memory.db"))
            self._fill()
            self._closing = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def ask(self, text: str, variant: Variant) -> tuple[tuple[TurnId, ...], float]:
        """The utterances that a variant finds, best first, and the processor time it took in seconds."""
        names = self.conversation.speakers
        read = self._reader.read(in_first_person(text, names) if variant.rephrased else text)
        query = Query(
            text=text,
            at=datetime.fromtimestamp(self.conversation.said[-1].said_at + 3600, UTC),
            embedding=read.embedding,
            feelings=read.feelings,
            encoder=self._reader.fingerprint,
            limit=max(AMONG),
            strategy=variant.strategy,
            gate=False,
        )
        began = time.process_time()
        if variant.baseline is not None:
            found = self._by_bm25(text, query, variant.baseline)
        else:
            found = tuple(map(_utterance_id, recall(self._store, *names, query, variant.weights)))
        taken_s = time.process_time() - began
        return tuple(self._turn_ids[each] for each in found), taken_s

    def _fill(self) -> None:
        person, character = self.conversation.speakers
        conversation_id = self._store.open_conversation(person, character)
        meanings = []
        for sides in _turns(self.conversation):
            texts = [_text(side, captions=self._captions) if side else "" for side in sides]
            turn = self._store.commit_turn(
                Turn(
                    conversation_id=conversation_id,
                    person=person,
                    character=character,
                    user_text=texts[0],
                    reply_text=texts[1],
                    said_at=next(side.said_at for side in sides if side),
                )
            )
            assert turn.turn_id is not None
            for in_reply, (side, text) in enumerate(zip(sides, texts, strict=True)):
                if side and text:
                    self._turn_ids[2 * turn.turn_id + in_reply] = side.turn_id
                    meanings.append(self._reader.meaning(turn, in_reply=bool(in_reply)))
        store_meanings(self._store, meanings, self._reader.fingerprint)
        self._say(f"{self.conversation.name}: {len(self.conversation.said)} utterances")

    def _by_bm25(self, text: str, query: Query, share: float) -> tuple[int, ...]:
        scores = dict.fromkeys(self._turn_ids, 0.0)
        words = " OR ".join(word.phrase for word in query_words(text))
        found = self._store.read("search", lambda connection: connection.execute(_BM25, (words,)).fetchall())
        most = max((score for _, score in found), default=1.0)
        scores.update({rowid: score / most for rowid, score in found})
        if share and query.embedding:
            for rowid, cosine in self._store.read("search", lambda connection: _cosines(connection, query.embedding)):
                scores[rowid] += share * cosine
        return tuple(sorted(scores, key=lambda rowid: (-scores[rowid], -rowid))[: query.limit])


def _cosines(connection: sqlite3.Connection, embedding: bytes | None) -> Iterator[tuple[int, float]]:
    stored = connection.execute("SELECT utterance_id, embedding FROM meanings").fetchall()
    values = cosines(embedding or b"", [row for _, row in stored])
    return zip((rowid for rowid, _ in stored), map(float, values), strict=True)


def _utterance_id(item: Recalled) -> int:
    assert item.turn is not None
    assert item.turn.turn_id is not None
    return 2 * item.turn.turn_id + item.in_reply


def _turns(conversation: Conversation) -> Iterator[tuple[Said | None, Said | None]]:
    """What the person said and what was answered: a new turn with each session, and where one says two things."""
    words: Said | None = None
    session = 0
    for each in conversation.said:
        if words is not None and (each.turn_id[0] != session or each.speaker == conversation.speakers[0]):
            yield words, None
            words = None
        session = each.turn_id[0]
        if each.speaker == conversation.speakers[0]:
            words = each
        else:
            yield words, each
            words = None
    if words is not None:
        yield words, None


def _text(said: Said, *, captions: bool) -> str:
    return f"{said.text} [{said.caption}]" if captions and said.caption else said.text


def _measure(variant: Variant, stores: Sequence[_Remembered]) -> Measured:
    found: list[tuple[str, int, float, float]] = []
    times: list[float] = []
    for store in stores:
        for question in store.conversation.questions[:_WARM_UP]:
            store.ask(question.text, variant)
        for question in store.conversation.questions:
            first, taken_s = store.ask(question.text, variant)
            times.append(taken_s)
            shares = [len(question.evidence & set(first[:count])) / len(question.evidence) for count in AMONG]
            found.append((store.conversation.name, question.category, shares[0], shares[1]))
    p50, p99 = np.percentile(np.array(times) * 1e3, (50, 99))
    categories = sorted({category for _, category, _, _ in found})
    names = list(dict.fromkeys(name for name, _, _, _ in found))
    return Measured(
        name=variant.name,
        strategy=variant.strategy,
        all=_shares([row[2:] for row in found]),
        without_adversarial=_shares([row[2:] for row in found if row[1] != ADVERSARIAL]),
        categories={each: _shares([row[2:] for row in found if row[1] == each]) for each in categories},
        conversations={each: _shares([row[2:] for row in found if row[0] == each]) for each in names},
        p50_ms=round(float(p50), 2),
        p99_ms=round(float(p99), 2),
    )


def _shares(pairs: Sequence[tuple[float, float]]) -> Shares:
    if not pairs:
        return Shares(at_5=float("nan"), at_10=float("nan"), questions=0)
    at_5, at_10 = np.mean(np.array(pairs), axis=0)
    return Shares(at_5=round(float(at_5), 4), at_10=round(float(at_10), 4), questions=len(pairs))
