"""Conversations in LoCoMo's format, read for `tools.eval_recall`: who said what when, and what of it answers what.

LoCoMo (Maharana et al. 2024, CC BY-NC 4.0) is not part of Familiar; any file of the same shape will do. The published
ones are not quite regular: evidence is written "D8:6; D9:17" or "D:11:26", names turns that are not there, or is empty.
What can be read is read, and what was left out is counted.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from device.errors import FamiliarError

_SESSION = re.compile(r"session_(\d+)")
_TURN_ID = re.compile(r"D\W*(\d+)\s*:\s*(\d+)", re.IGNORECASE)
_DATE_FORMATS = ("%I:%M %p on %d %B, %Y", "%I:%M %p on %d %b, %Y", "%I:%M %p, %d %B, %Y", "%d %B, %Y")
_BEGINNING = datetime(2023, 1, 1, tzinfo=UTC)
"""Of a conversation without dates; each further session without one is a day later."""
_BETWEEN_UTTERANCES_S = 20.0

TurnId = tuple[int, int]
"""Session and place in it, both from 1: "D8:6" is (8, 6)."""


class ConversationFileError(FamiliarError):
    """The file holds no conversation that can be read."""

    code = "conversation_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One utterance. `caption` describes the picture that was sent with it, if any."""

    turn_id: TurnId
    speaker: str
    text: str
    caption: str
    said_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`evidence`: the utterances that hold the answer, each of which is in the conversation; at least one."""

    text: str
    category: int
    evidence: frozenset[TurnId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What two people said to each other, oldest first, and what is asked about it.

    `n_unanswered`: questions left out because nothing in the conversation answers them. `n_unknown`: pieces of evidence
    that are not in the conversation, left out as well.
    """

    name: str
    speakers: tuple[str, str]
    said: tuple[Said, ...]
    questions: tuple[Question, ...]
    n_unanswered: int
    n_unknown: int


def read_conversations(path: Path) -> tuple[Conversation, ...]:
    """All conversations of a file that have questions. Raises ConversationFileError if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConversationFileError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConversationFileError(f"{path} is no JSON file: {error}") from error
    samples = content if isinstance(content, list) else [content]
    found = [_conversation(sample, number) for number, sample in enumerate(samples, 1) if isinstance(sample, dict)]
    conversations = tuple(each for each in found if each.questions)
    if not conversations:
        raise ConversationFileError(
            f"{path} has no conversation with questions in LoCoMo's format; give a file like its locomo10.json"
        )
    return conversations


def turn_ids(evidence: object) -> frozenset[TurnId]:
    """The turns that an entry `evidence` names, however it is written."""
    return frozenset((int(session), int(place)) for session, place in _TURN_ID.findall(str(evidence)))


def _conversation(sample: Mapping[str, Any], number: int) -> Conversation:
    talk = sample.get("conversation")
    said = tuple(_said(talk)) if isinstance(talk, dict) else ()
    known = {each.turn_id for each in said}
    questions, n_unanswered, n_unknown = [], 0, 0
    asked = sample.get("qa")
    for entry in asked if isinstance(asked, list) else ():
        if not isinstance(entry, dict) or not entry.get("question"):
            continue
        named = turn_ids(entry.get("evidence"))
        n_unknown += len(named - known)
        if named & known:
            category = int(entry["category"]) if str(entry.get("category", "")).isdigit() else 0
            questions.append(Question(text=str(entry["question"]), category=category, evidence=named & known))
        else:
            n_unanswered += 1
    return Conversation(
        name=str(sample.get("sample_id", number)),
        speakers=_speakers(talk, said) if isinstance(talk, dict) else ("", ""),
        said=said,
        questions=tuple(questions),
        n_unanswered=n_unanswered,
        n_unknown=n_unknown,
    )


def _speakers(talk: Mapping[str, Any], said: tuple[Said, ...]) -> tuple[str, str]:
    """As the file names them, else in the order in which they speak."""
    speaking = list(dict.fromkeys(each.speaker for each in said))
    first = str(talk.get("speaker_a") or (speaking or ["A"])[0])
    others = [name for name in speaking if name != first]
    return first, str(talk.get("speaker_b") or (others or ["B"])[0])


def _said(talk: Mapping[str, Any]) -> Iterator[Said]:
    sessions = sorted(int(match[1]) for key in talk if (match := _SESSION.fullmatch(key)))
    begun = _BEGINNING - timedelta(1)
    for session in sessions:
        begun = _date(talk.get(f"session_{session}_date_time")) or begun + timedelta(1)
        entries = talk[f"session_{session}"]
        for place, entry in enumerate(entries if isinstance(entries, list) else (), 1):
            if isinstance(entry, dict):
                named = turn_ids(entry.get("dia_id"))
                yield Said(
                    turn_id=next(iter(named), (session, place)),
                    speaker=str(entry.get("speaker", "")),
                    text=str(entry.get("text") or "").strip(),
                    caption=str(entry.get("blip_caption") or "").strip(),
                    said_at=begun.timestamp() + (place - 1) * _BETWEEN_UTTERANCES_S,
                )


def _date(written: object) -> datetime | None:
    for date_format in _DATE_FORMATS:
        try:
            return datetime.strptime(str(written).strip(), date_format).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
