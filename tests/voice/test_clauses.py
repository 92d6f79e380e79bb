# ruff: noqa: RUF001  characters that resemble others are the subject here
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.borders import ends_sentence
from voice.clauses import MAX_CLAUSE_LETTERS, ClauseSplitter
from voice.messages import Clause, Gesture, SpeechPart
from voice.speakable import speakable_words


def split(text: str, language: str = "en") -> list[SpeechPart]:
    splitter = ClauseSplitter(language=language)
    return splitter.push(text) + splitter.finish()


def shown(text: str, language: str = "en") -> list[str]:
    """Clauses as their raw text without white space around it, gestures as *name*."""
    return [
        f"*{part.name}*" if isinstance(part, Gesture) else text[part.start : part.end].strip()
        for part in split(text, language)
    ]


# The opening words use up the freedom of the first clause, so that a case shows sentence borders alone.
OPENING = "Let me tell you. "


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello there, my friend! How are you?", ["Hello there,", "my friend!", "How are you?"]),
        ("Hi! How are you?", ["Hi! How are you?"]),
        ("Well, I think so, yes.", ["Well, I think so,", "yes."]),
        ("Oh yes, of course; you know: I do", ["Oh yes, of course;", "you know: I do"]),
        ("I wonder why — do you?", ["I wonder why —", "do you?"]),
        ("I wonder why - do you?", ["I wonder why -", "do you?"]),
        ("It is well-known here. Yes.", ["It is well-known here.", "Yes."]),
        ("One two three\nfour five", ["One two three", "four five"]),
        ("No.", ["No."]),
        ("你好，世界。今天天气很好。", ["你好，世界。", "今天天气很好。"]),
        ("नमस्ते दुनिया। आप कैसे हैं?", ["नमस्ते दुनिया।", "आप कैसे हैं?"]),
    ],
)
def test_first_clause_is_the_shortest_speakable_prefix(text: str, clauses: list[str]) -> None:
    assert shown(text) == clauses


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Smith and Mr. Jones met Mrs. Brown.",
        "Fruit, e.g. apples, i.e. food, etc. is good.",
        "J. R. R. Tolkien wrote it.",
        "Pi is 3.14 and not 1,000,000 or so.",
        "Be here at 10:30 or at 5 p.m. today.",
        "Version 1.2.3 runs on 10.0.0.1 here.",
        "Look at https://example.com/a.b?c=d, now.",
        "Write to a.person@example.com soon.",
        "Yahoo!Mail and file.txt are names.",
        "Well... maybe so.",
        "Well… maybe so.",
        "See No. 5 and p. 12 in it.",
        "In the U.S. Army there was one.",
        "He said (very loud!) that it was so.",
        'Then "Hi!" he said.',
        "A range of 10–20 is fine.",
        "Yes, no, perhaps; who knows: not I",
    ],
)
def test_one_sentence_stays_whole(sentence: str) -> None:
    assert shown(OPENING + sentence) == [OPENING.strip(), sentence]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It was so. Then it was not.", ["It was so.", "Then it was not."]),
        ("Really?! Yes!!! Fine.", ["Really?!", "Yes!!!", "Fine."]),
        ('"Come here." He came.', ['"Come here."', "He came."]),
        ("(Come here.) He came.", ["(Come here.)", "He came."]),
        ("„Komm her.“ Er kam.", ["„Komm her.“", "Er kam."]),
        ("**Come here.** He came.", ["**Come here.**", "He came."]),
        ("So did I. Then we left.", ["So did I.", "Then we left."]),
        ("It was 1990. Then it was not.", ["It was 1990.", "Then it was not."]),
        ("I said no. He went.", ["I said no.", "He went."]),
        ("Well... Maybe not.", ["Well...", "Maybe not."]),
        ("hello. how are you. fine", ["hello.", "how are you.", "fine"]),
        ("First line\nSecond line", ["First line", "Second line"]),
        ("1. Milk\n2. Eggs and more", ["1. Milk", "2. Eggs and more"]),
        ("- milk - or not\n- eggs", ["- milk - or not", "- eggs"]),
        ("I love dogs 😀 Do you?", ["I love dogs 😀", "Do you?"]),
        ("I love 😀 dogs", ["I love 😀 dogs"]),
        ("今天很好。你呢？好！", ["今天很好。", "你呢？", "好！"]),
        ("有３．５个，和１，０００个。5个人来了。", ["有３．５个，和１，０００个。", "5个人来了。"]),
        ("「你好。」他说。再见。", ["「你好。」他说。", "再见。"]),
        ("مرحبا بك. كيف حالك؟ بخير", ["مرحبا بك.", "كيف حالك؟", "بخير"]),
        ("یہ ہے۔ وہ نہیں۔", ["یہ ہے۔", "وہ نہیں۔"]),
        ("यह है। वह नहीं।", ["यह है।", "वह नहीं।"]),
        ("Այո։ Ոչ։", ["Այո։", "Ոչ։"]),
        ("ሰላም። እንዴት ነህ፧ ደህና", ["ሰላም።", "እንዴት ነህ፧", "ደህና"]),
        ("Да. Нет! А. С. Пушкин.", ["Да.", "Нет!", "А. С. Пушкин."]),
        ("안녕하세요. 잘 지내요?", ["안녕하세요.", "잘 지내요?"]),
        ("สวัสดี ครับ ผม ชื่อ ก", ["สวัสดี ครับ ผม ชื่อ ก"]),
    ],
)
def test_later_clauses_are_sentences(text: str, sentences: list[str]) -> None:
    assert shown(OPENING + text) == [OPENING.strip(), *sentences]


@pytest.mark.parametrize(
    ("language", "text", "clauses"),
    [
        ("de", "Am 3. Mai kam z.B. Hr. Müller. Er ging.", ["Am 3. Mai kam z.B. Hr. Müller.", "Er ging."]),
        ("de-AT", "Das ist z. B. so usw. und so fort.", ["Das ist z. B. so usw. und so fort."]),
        ("fr", "Bonjour M. Dupont ! Ça va ?", ["Bonjour M. Dupont !", "Ça va ?"]),
        ("es", "La Sra. López vive aquí. ¿Verdad?", ["La Sra. López vive aquí.", "¿Verdad?"]),
        ("el", "Τι κάνεις σήμερα; Καλά είμαι εδώ.", ["Τι κάνεις σήμερα;", "Καλά είμαι εδώ."]),
        ("xx", "Dr. Foo bar bazqux. Quux.", ["Dr. Foo bar bazqux.", "Quux."]),
    ],
)
def test_borders_follow_the_language(language: str, text: str, clauses: list[str]) -> None:
    assert shown(text, language) == clauses


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("*wags tail* Hello!", ["*wags tail*", "Hello!"]),
        ("_wags tail_ Hello!", ["*wags tail*", "Hello!"]),
        ("Hello! *wags tail*", ["Hello!", "*wags tail*"]),
        ("Oh *wags his tail* I missed you", ["Oh", "*wags his tail*", "I missed you"]),
        ("Hi!*nods*Yes", ["Hi!", "*nods*", "Yes"]),
        ("Hi! *nods*", ["Hi!", "*nods*"]),
        ("*nods* *smiles*", ["*nods*", "*smiles*"]),
        ("*wags **big** tail* Hi", ["*wags big tail*", "Hi"]),
        ("I *really* like you", ["I *really* like you"]),
        ("I am *so*!", ["I am *so*!"]),
        ("This is **very bold** text", ["This is **very bold** text"]),
        ("***very*** and __very__ so", ["***very*** and __very__ so"]),
        ("Look (wags tail) here", ["Look (wags tail) here"]),
        ("It is 2 * 3 * 4 in a_b_c", ["It is 2 * 3 * 4 in a_b_c"]),
        ("* milk\n* eggs", ["* milk\n* eggs"]),
        ("See https://x.y/_a_/b now", ["See https://x.y/_a_/b now"]),
        ("An open *star\nand a line", ["An open *star", "and a line"]),
        ("*微笑*你好", ["*微笑*", "你好"]),
        ("Say _this_way now", ["Say _this_way now"]),
        ("😀 *waves* 😀 Hi 😀", ["*waves*", "Hi 😀"]),
    ],
)
def test_gestures_are_told_from_emphasis(text: str, parts: list[str]) -> None:
    assert shown(text) == parts


def test_gesture_says_where_it_ended() -> None:
    text = "Hi *wags tail* there"
    gesture = split(text)[1]
    assert isinstance(gesture, Gesture)
    assert text[: gesture.at] == "Hi *wags tail*"


def test_gesture_cut_short_by_the_end_is_neither_spoken_nor_made() -> None:
    assert shown("Hello there! *wags ta") == ["Hello there!"]
    assert shown("*wags ta") == ["*wags ta"], "but a reply is never silent for it"


def test_first_clause_leaves_as_soon_as_the_next_letter_shows_its_end() -> None:
    splitter = ClauseSplitter()
    for char in "Hello there, ":
        assert splitter.push(char) == []
    (clause,) = splitter.push("m")
    assert isinstance(clause, Clause)
    assert clause.speech == "Hello there,"


def test_a_number_is_not_cut_before_it_is_whole() -> None:
    splitter = ClauseSplitter()
    assert splitter.push("The number pi is 3.") == []
    assert splitter.push("14") == []
    assert [part.end for part in splitter.finish() if isinstance(part, Clause)] == [21]


def test_speechless_text_belongs_to_the_part_before_it() -> None:
    hello, wave, bye = split("Hello there! 😀👨‍👩‍👧 *waves* 🐶 Bye 😀 \n")
    assert isinstance(hello, Clause)
    assert isinstance(wave, Gesture)
    assert isinstance(bye, Clause)
    assert (hello.end, wave.at, bye.end) == (19, 29, 37)
    assert hello.words[-1].end == 19
    assert bye.words[-1].end == len("Hello there! 😀👨‍👩‍👧 *waves* 🐶 Bye 😀 \n")


@pytest.mark.parametrize("text", ["", " \n", "😀", "...", "**", "```\n```", "<br>", "\x00\x07"])
def test_nothing_to_say_gives_no_part(text: str) -> None:
    assert split(text) == []


def test_long_sentence_is_cut_at_a_pause() -> None:
    long = OPENING + "this goes on and on for quite a while without an end, " * 4 + "and stops."
    clauses = [part for part in split(long) if isinstance(part, Clause)]
    assert all(clause.speech.endswith((",", ".")) for clause in clauses)
    assert all(len(clause.speech) < 300 for clause in clauses)


@pytest.mark.parametrize("text", ["word " * 300, "漢字" * 300, "  " + "x" * 2000, "สวัสดีชาวโลก " * 100, "नमस्ते " * 200])
def test_text_without_punctuation_is_cut_by_length(text: str) -> None:
    clauses = [part for part in split(text) if isinstance(part, Clause)]
    assert len(clauses) > 2
    assert all(len(clause.speech) <= 3 * MAX_CLAUSE_LETTERS for clause in clauses)
    assert "".join(clause.speech for clause in clauses).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    "text", ["*" * 5000, "😀" * 5000, "<b>" * 2000, "!" * 5000, "-" * 5000, "*a" * 3000, "[" * 5000]
)
def test_degenerate_text_takes_bounded_time(text: str) -> None:
    started = time.perf_counter()
    splitter = ClauseSplitter()
    for char in text:
        splitter.push(char)
    splitter.finish()
    assert time.perf_counter() - started < 10


TRICKY = """
Hello hello I word x Dr. e.g. etc. No. 3 14 10:30 1,000 . , ; : ! ? ... … — – - -- * ** _ ` ~~ *waves* *so* _nods_
😀 👨‍👩‍👧 ☺️ 5️⃣ 🇩🇪 " ' “ ” „ ) ( ] [ > # <br> <b> </b> http://a.b/c a@b.c €5 5km °C & + = %
你好 。 ， ！ 」 「 かな नमस्ते । مرحبا ؟ ، 안녕 ፡ ። ;
"""
PIECES = st.sampled_from([*TRICKY.split(), "\n", "\u200d", "\u200c", "\x00", "\ud800", "\u00ad"])
REPLIES = st.lists(st.tuples(PIECES, st.sampled_from(["", " ", " ", "\n"])), max_size=40).map(
    lambda pieces: "".join(piece + gap for piece, gap in pieces)
)


@settings(deadline=None, max_examples=300)
@given(REPLIES | st.text(max_size=60), st.data())
def test_parts_do_not_depend_on_how_the_text_was_cut(text: str, data: st.DataObject) -> None:
    whole = split(text)
    by_char = ClauseSplitter()
    assert [part for char in text for part in by_char.push(char)] + by_char.finish() == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    by_piece = ClauseSplitter()
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert [part for piece in pieces for part in by_piece.push(piece)] + by_piece.finish() == whole


@settings(deadline=None, max_examples=300)
@given(REPLIES | st.text(max_size=60))
def test_parts_tile_the_reply(text: str) -> None:
    at = 0
    for part in split(text):
        if isinstance(part, Gesture):
            assert at < part.at <= len(text)
            assert part.name
            at = part.at
            continue
        assert part.start == at
        ends = [word.end for word in part.words]
        assert ends == sorted(ends)
        assert ends[0] > part.start
        assert ends[-1] == part.end
        assert part.speech
        at = part.end
    is_cut_gesture = any(mark in text[at:] for mark in "*_")
    assert at == len(text) or speakable_words(text[at:]) == () or is_cut_gesture


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from(["one", "two", "Three", "four,", "five.", "six!", "seven?", "eight;", "nine:", "ten\n"]),
        max_size=150,
    )
)
def test_no_word_is_lost_or_said_twice(words: list[str]) -> None:
    text = " ".join(words)
    said = " ".join(part.speech for part in split(text) if isinstance(part, Clause))
    assert said.split() == text.split()


@pytest.mark.parametrize("text", ["Hi!", 'He said "no."', "Wirklich?!", "你好。", "क्या हुआ।", "Well…"])
def test_the_stop_of_a_sentence_is_seen_in_any_script(text: str) -> None:
    assert ends_sentence(text)


@pytest.mark.parametrize("text", ["", "Hi,", "and then", "one; ", '"quoted"'])
def test_anything_else_ends_no_sentence(text: str) -> None:
    assert not ends_sentence(text)
