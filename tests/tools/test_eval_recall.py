"""Conversations in LoCoMo's format are read as they are, and recall of their evidence is counted."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from models.encoder import EncoderInfo
from tests.assets import ASSETS, WITHOUT_ASSETS
from tools import eval_moods, eval_recall
from tools.eval_moods import evaluate_moods
from tools.eval_recall import ABLATION, evaluate
from tools.eval_recall_report import as_json, as_text, within_target
from tools.locomo import ConversationFileError, read_conversations, turn_ids
from tools.mood_pairs import MOOD_PAIRS

LOCOMO = ASSETS / "memory" / "locomo_dev.json"


@dataclass(frozen=True)
class _Encoded:
    embedding: np.ndarray
    emotions: np.ndarray


class WordBag:
    """In place of an encoder: texts with the same words are near each other; some words are joy, some sadness."""

    fingerprint = "bag of words"
    info: EncoderInfo

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def encode(self, texts: Sequence[str]) -> list[_Encoded]:
        return [self._encoded(set(re.findall(r"\w+", text.lower()))) for text in texts]

    def _encoded(self, words: set[str]) -> _Encoded:
        vector = sum(np.random.default_rng(list(word.encode())).standard_normal(384) for word in sorted(words))
        emotions = np.zeros(28)
        emotions[17] = bool(words & {"happy", "love", "great", "wonderful", "fun", "best", "glad", "proud", "awesome"})
        emotions[25] = bool(words & {"sad", "hate", "upset", "cried", "scared", "angry", "awful", "afraid", "terrible"})
        return _Encoded(embedding=vector + np.zeros(384), emotions=emotions)


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval_recall, "Encoder", WordBag)


def sample(**changes: object) -> dict[str, object]:
    talk = {
        "speaker_a": "Tom",
        "speaker_b": "Ida",
        "session_2_date_time": "6:00 pm on 9 May, 2023",
        "session_2": [
            {"speaker": "Ida", "dia_id": "D2:1", "text": "Did the boat float?"},
            {"speaker": "Tom", "dia_id": "D2:2", "text": "It sank in the pond", "blip_caption": "a photo of a duck"},
        ],
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Tom", "dia_id": "D1:1", "text": "I built a wooden boat yesterday"},
            {"speaker": "Ida", "dia_id": "D1:2", "text": "How lovely"},
            {"speaker": "Ida", "dia_id": "D1:3", "text": "I baked bread"},
        ],
        "session_3_date_time": "who knows",
    }
    questions = [
        {"question": "What did Tom build?", "answer": "a boat", "evidence": ["D1:1"], "category": 4},
        {"question": "What happened to Tom's boat?", "evidence": ["D1:1; D2:2", "D7:7"], "category": 1},
        {"question": "What did Tom bake?", "adversarial_answer": "bread", "evidence": ["D:1:3"], "category": 5},
        {"question": "What is Ida's job?", "evidence": [], "category": 3},
        {"question": "What else?", "category": "odd"},
    ]
    return {"sample_id": "boats", "conversation": talk, "qa": questions, **changes}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "talk.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("evidence", "ids"),
    [
        (["D1:3"], {(1, 3)}),
        (["D8:6; D9:17"], {(8, 6), (9, 17)}),
        (["D:11:26"], {(11, 26)}),
        (["D30:05", "d4:1"], {(30, 5), (4, 1)}),
        (["D4:15 D3:5"], {(4, 15), (3, 5)}),
        ([], set()),
        (None, set()),
        (["D", 7], set()),
    ],
)
def test_evidence_is_read_however_it_is_written(evidence: object, ids: set[tuple[int, int]]) -> None:
    assert turn_ids(evidence) == ids


def test_a_conversation_is_read_in_the_order_of_its_sessions(tmp_path: Path) -> None:
    (read,) = read_conversations(written(tmp_path, [sample()]))
    assert read.speakers == ("Tom", "Ida")
    assert [each.turn_id for each in read.said] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert [each.said_at for each in read.said] == sorted(each.said_at for each in read.said)
    assert [sorted(each.evidence) for each in read.questions] == [[(1, 1)], [(1, 1), (2, 2)], [(1, 3)]]
    assert (read.n_unanswered, read.n_unknown) == (2, 1)
    assert read.said[-1].caption == "a photo of a duck"


def test_a_conversation_without_dates_names_and_ids_is_read_as_well(tmp_path: Path) -> None:
    talk = {f"session_{n}": [{"speaker": "A", "text": "one"}, {"speaker": "B", "text": "two"}, "odd"] for n in (1, 2)}
    (read,) = read_conversations(
        written(tmp_path, {"conversation": talk, "qa": [{"question": "?", "evidence": ["D2:2"]}, "odd"]})
    )
    assert read.speakers == ("A", "B")
    assert read.said[2].said_at - read.said[0].said_at == 86400
    assert [each.category for each in read.questions] == [0]


@pytest.mark.parametrize("content", [[], {}, [3], {"conversation": {}, "qa": []}, [sample(qa=[])], [sample(qa=3)]])
def test_a_file_without_conversations_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ConversationFileError, match=r"talk\.json has no conversation"):
        read_conversations(written(tmp_path, content))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversationFileError, match="cannot read"):
        read_conversations(tmp_path / "nothing.json")
    (tmp_path / "talk.json").write_bytes(b"\xff{")
    with pytest.raises(ConversationFileError, match="no JSON"):
        read_conversations(tmp_path / "talk.json")


def test_what_answers_is_counted_by_category_and_conversation(tmp_path: Path) -> None:
    found = evaluate(written(tmp_path, [sample()]), lambda line: None)
    (whole,) = found.measured
    assert (found.utterances, found.n_unanswered, found.n_unknown) == (5, 2, 1)
    assert (whole.all.at_10, whole.all.questions) == (1.0, 3)
    assert whole.without_adversarial.questions == 2
    assert {category: shares.questions for category, shares in whole.categories.items()} == {1: 1, 4: 1, 5: 1}
    assert whole.conversations["boats"].questions == 3
    assert 0 < whole.p50_ms <= whole.p99_ms


def test_every_part_can_be_left_out_and_the_report_says_what_each_is_worth(tmp_path: Path) -> None:
    found = evaluate(written(tmp_path, [sample()]), lambda line: None, ablation=True)
    assert [each.name for each in found.measured] == ["all parts", *(each.name for each in ABLATION)]
    moods = evaluate_moods(lambda line: None)
    text = as_text(found, moods)
    assert all(each.name in text for each in found.measured)
    assert max(map(len, text.splitlines())) <= 80
    content = json.loads(as_json(found, moods))
    assert content["within_target"] == within_target(found, moods)
    assert content["recall"]["measured"][0]["all"]["at_10"] == 1.0
    assert {each["strategy"] for each in content["pairs"]} == {"none", "c-a", "c-m", "s-c", "s-s"}


def test_without_questions_of_a_kind_the_report_is_still_json(tmp_path: Path) -> None:
    only_adversarial = [{"question": "What did Tom bake?", "evidence": ["D1:3"], "category": 5}]
    found = evaluate(written(tmp_path, [sample(qa=only_adversarial)]), lambda line: None)
    content = json.loads(as_json(found, ()), parse_constant=pytest.fail)
    assert content["recall"]["measured"][0]["without_adversarial"]["at_10"] is None
    assert as_text(None, ()) == ""


def test_the_pairs_are_of_one_thing_each_and_strategies_are_told_apart() -> None:
    assert len({pair.topic for pair in MOOD_PAIRS}) == len(MOOD_PAIRS) == 40
    shares = {each.strategy: each.share for each in evaluate_moods(lambda line: None)}
    assert shares["none"] < min(shares[each] for each in ("c-a", "c-m", "s-c", "s-s"))
    assert eval_moods.LEAST_CONGRUENT == 0.9


@pytest.mark.skipif(not LOCOMO.exists(), reason=WITHOUT_ASSETS)
def test_what_fts5_alone_finds_on_locomo_is_what_others_find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So it is told whether the conversations are read faithfully."""
    monkeypatch.setattr(eval_recall, "ABLATION", ABLATION[:1])
    first = json.loads(LOCOMO.read_text(encoding="utf-8"))[0]
    found = evaluate(written(tmp_path, [first]), lambda line: None, ablation=True)
    whole, bm25 = found.measured
    assert (found.utterances, whole.all.questions, found.n_unanswered) == (419, 197, 2)
    assert bm25.all.at_10 == pytest.approx(0.759, abs=0.01)
    assert whole.all.at_10 > bm25.all.at_10
