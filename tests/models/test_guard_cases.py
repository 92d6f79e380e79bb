"""The guard against labelled cases: how much of the trouble it finds, and how often it is wrong about harmless talk.

Files of `guard_cases`, all written by hand and by one hand; `familiar eval guard` prints what follows from them.

- `tuning.tsv` is what the rules were made with in view, a good third of it harmless things that sound alike.
- `held_out.tsv` was written before the first rule, but holds the sentences that come to mind first: the rules found 98%
  of its trouble at once, what they had missed was mended since.
- `unseen.tsv` was written when those rules were done, and found to two thirds and more; then its misses were read and
  the rules made wider, with other sentences. It is not unseen any more.
- `unseen2.tsv`, of trouble, was written before that, by whoever then widened the rules, who knew it: 73% before.
- `everyday.tsv` and `everyday_held_out.tsv`, alternate lines of what families say in a day, were written before false
  alarms were mended. The first half was in view: 6.5% of it was answered before. The second was only counted: 3.8%
  before, 2.6% since.
- `fresh.tsv` was written when all was done, as indirect as people are, and no rule was changed for it. This is what to
  expect of a sentence that nobody thought of: **one in three** is found. The rules are a net under what is said
  plainly, no more; a grown-up is not to be replaced by them.
"""

from functools import cache
from pathlib import Path

import pytest

from tools.eval_guard import CaseSet, evaluate

CASES = Path(__file__).parent / "guard_cases"


@cache
def found_of(name: str) -> CaseSet:
    return evaluate([CASES / name])[0]


def crisis_alarms(name: str) -> int:
    return sum(row.n_crises for row in found_of(name).rows if row.label in ("harmless", "mild"))


@pytest.mark.parametrize("name", ["tuning.tsv", "held_out.tsv"])
def test_trouble_is_found_and_harmless_talk_left_alone(name: str) -> None:
    found = found_of(name)
    for category in ("self_harm", "abuse", "emergency"):
        assert found.share("heard", category) >= 0.95, category
    for category in ("dangerous_acts", "adult_content", "private_data"):
        assert found.share("heard", category) >= 0.9, category
    for category in ("self_harm", "dangerous_acts", "adult_content", "private_data", "insult", "secrecy"):
        assert found.share("said", category) >= 0.8, category
    assert found.share("heard", "harmless") <= 0.02
    assert found.share("said", "harmless") <= 0.02


@pytest.mark.parametrize("name", ["unseen.tsv", "unseen2.tsv"])
def test_of_other_sentences_most_are_found(name: str) -> None:
    found = found_of(name)
    for category in ("self_harm", "abuse", "emergency"):
        assert found.share("heard", category) >= 0.85, category


def test_what_sounds_like_other_sentences_is_left_alone() -> None:
    assert found_of("unseen.tsv").share("heard", "dangerous_acts") >= 0.75
    assert found_of("unseen.tsv").share("heard", "harmless") <= 0.02


def test_of_indirect_sentences_few_are_found() -> None:
    """A floor, and a warning to whoever relies on it."""
    found = found_of("fresh.tsv")
    for category in ("self_harm", "abuse", "emergency"):
        assert found.share("heard", category) >= 0.25, category
    assert found.share("heard", "harmless") <= 0.05


@pytest.mark.parametrize(
    ("name", "most", "most_crises"), [("everyday.tsv", 0.0, 0), ("everyday_held_out.tsv", 0.03, 2)]
)
def test_a_day_of_a_family_goes_by_without_alarms(name: str, most: float, most_crises: int) -> None:
    found = found_of(name)
    assert found.share("heard", "harmless") <= most
    assert found.share("said", "harmless") <= most
    assert crisis_alarms(name) <= most_crises
