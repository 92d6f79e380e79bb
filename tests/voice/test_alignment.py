"""Words against samples: monotone, complete, and as fine as the marks allow."""

from hypothesis import given, settings
from hypothesis import strategies as st

from voice.alignment import heard_end, word_ends
from voice.messages import Clause, Word, WordMark


def clause_of(*texts: str, start: int = 0) -> Clause:
    words, end = [], start
    for text in texts:
        end += len(text)
        words.append(Word(text=text, end=end))
    return Clause(words=tuple(words), start=start, end=end)


def marks_of(*points: tuple[int, int]) -> tuple[WordMark, ...]:
    return tuple(WordMark(chars=chars, sample=sample) for chars, sample in points)


HELLO = clause_of("Hello ", "little ", "one.")  # said after 5, 12 and 17 characters


def test_without_marks_words_end_in_proportion_to_their_letters() -> None:
    assert word_ends(HELLO, (), 1_700) == (500, 1_200, 1_700)


def test_marks_at_word_ends_are_taken_as_they_are() -> None:
    assert word_ends(HELLO, marks_of((5, 900), (12, 1_000), (17, 1_500)), 1_700) == (900, 1_000, 1_500)


def test_marks_finer_than_words_are_used_where_words_end() -> None:
    marks = marks_of(*((chars, chars * chars) for chars in range(1, 18)))

    assert word_ends(HELLO, marks, 1_700) == (25, 144, 289)


def test_words_between_marks_share_the_time_by_letters() -> None:
    assert word_ends(HELLO, marks_of((17, 3_400)), 4_000) == (1_000, 2_400, 3_400)
    assert word_ends(HELLO, marks_of((7, 700)), 1_700) == (500, 1_200, 1_700)


def test_spaces_around_the_speech_count_for_no_word() -> None:
    clause = clause_of("  Hello ", " ", "you  ")

    assert clause.speech == "Hello  you"
    assert word_ends(clause, (), 1_000) == (500, 500, 1_000)


def test_a_word_counts_as_heard_after_three_quarters_of_it() -> None:
    ends = (400, 800, 1_200)

    assert [heard_end(HELLO, ends, n) for n in (0, 299, 300, 400, 699, 700, 1_099)] == [None, None, 6, 6, 6, 13, 13]


def test_after_the_last_word_the_whole_clause_was_heard() -> None:
    clause = Clause(words=(Word(text="Hi", end=12),), start=10, end=15)

    assert heard_end(clause, (100,), 100) == 15


TEXTS = st.lists(st.text("ab ,ä好", min_size=1, max_size=8), min_size=1, max_size=8).filter(
    lambda t: "".join(t).strip()
)
MARKS = st.lists(st.tuples(st.integers(-2, 80), st.integers(-50, 5_000)), max_size=30)


@settings(deadline=None, max_examples=200)
@given(texts=TEXTS, points=MARKS, n_samples=st.integers(0, 4_000))
def test_ends_never_fall_and_stay_within_the_sound_whatever_the_marks(
    texts: list[str], points: list[tuple[int, int]], n_samples: int
) -> None:
    ends = word_ends(clause_of(*texts), marks_of(*points), n_samples)

    assert len(ends) == len(texts)
    assert list(ends) == sorted(ends)
    assert all(0 <= end <= n_samples for end in ends)


@settings(deadline=None, max_examples=100)
@given(texts=TEXTS, n_samples=st.integers(0, 4_000), share=st.floats(0, 0.99))
def test_the_last_word_ends_with_the_sound_unless_marked_before(texts: list[str], n_samples: int, share: float) -> None:
    clause = clause_of(*texts)
    half_way = marks_of((int(len(clause.speech) * share), n_samples // 2))

    assert word_ends(clause, (), n_samples)[-1] == n_samples
    assert word_ends(clause, half_way, n_samples)[-1] == n_samples


@settings(deadline=None, max_examples=100)
@given(texts=TEXTS, points=MARKS, heard=st.lists(st.integers(0, 4_000), min_size=2, max_size=20))
def test_more_sound_never_means_less_heard(texts: list[str], points: list[tuple[int, int]], heard: list[int]) -> None:
    clause = clause_of(*texts)
    ends = word_ends(clause, marks_of(*points), 4_000)
    offsets = [heard_end(clause, ends, n) or 0 for n in sorted(heard)]

    assert offsets == sorted(offsets)
    assert heard_end(clause, ends, 4_000) == clause.end
