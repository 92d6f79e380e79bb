# ruff: noqa: RUF001  characters that resemble others are the subject here
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.messages import Clause
from voice.scripts import is_joiner, is_pictograph, is_silent
from voice.speakable import speakable_words


def spoken(text: str, language: str = "en") -> str:
    words = speakable_words(text, language=language)
    return Clause(words=words, start=0, end=len(text)).speech if words else ""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("# Head line", "Head line"),
        ("### Head", "Head"),
        ("> quoted > text", "quoted greater than text"),
        ("> > deep", "deep"),
        ("- milk\n* eggs\n+ ham\n• tea", "milk eggs ham tea"),
        ("- [x] done\n- [ ] open", "done open"),
        ("1. milk\n2. eggs", "1. milk 2. eggs"),
        ("**bold** *so* ***both*** __under__ _line_", "bold so both under line"),
        ("**bold**ly", "boldly"),
        ("`code` and ~~gone~~", "code and gone"),
        ("```python\nrun it\n```", "run it"),
        ("a\n---\nb\n***\nc", "a b c"),
        ("[a link](https://x.y/z) here", "a link here"),
        ("![a cat](cat.png)", "a cat"),
        ("the end of a link](https://x.y/z) here", "the end of a link here"),
        ("<b>bold</b> and<br/>new <a href='x y'>link</a>", "bold and new link"),
        ("<!-- not this -->but this", "but this"),
        ("hello<|im_end|>", "hello"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a b 1 2"),
        (r"not \*bold\* at all", "not bold at all"),
        ("fish &amp; chips &lt;now&gt;", "fish and chips now"),
        ("snake_case_name", "snake case name"),
    ],
)
def test_markup_is_not_spoken(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("hi 😀 there 👨‍👩‍👧‍👦!", "hi there!"),
        ("👍🏽 fine", "fine"),
        ("flags 🇩🇪 🏴󠁧󠁢󠁥󠁮󠁧󠁿 here", "flags here"),
        ("keys 5️⃣ *️⃣ here", "keys here"),
        ("I ❤️ you ☺️", "I you"),
        ("next year's \U0001fae9 too", "next year's too"),
        ("ok ✓ → done ©™", "ok done"),
        ("hello :) :-D <3 ^_^ ;p xD", "hello"),
        ("this -> that => it", "this that it"),
        ("hard\u00adly any\u200bthing\ufeff", "hardly anything"),
        ("bell\x07 nul\x00 \ud800surrogate\udfff", "bell nul surrogate"),
        ("می‌خواهم क्‍ष", "می‌خواهم क्‍ष"),
    ],
)
def test_pictographs_and_odd_characters_are_not_spoken(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("see https://www.example.com/a?b=c.", "see example dot com."),
        ("(http://a.example.org:80/)", "a dot example dot org"),
        ("www.example.com, too", "example dot com, too"),
        ("me a.person@mail.example.com.", "me a dot person at mail dot example dot com."),
        ("mailto:a@b.org", "a at b dot org"),
        ("20°C, 5 °F and 90°", "20 degrees Celsius, 5 degrees Fahrenheit and 90 degrees"),
        ("1 °C", "1 degree Celsius"),
        ("60 km/h, 5km; 3 kg", "60 kilometers per hour, 5 kilometers; 3 kilograms"),
        ("1 km", "1 kilometer"),
        ("the km mark", "the km mark"),
        ("€5, $1 and £3.50!", "5 euros, 1 dollar and 3 pounds 50!"),
        ("10€ or 10 €", "10 euros or 10 euros"),
        ("$1,000 or $2.00", "1,000 dollars or 2 dollars"),
        ("$5 million", "$5 million"),
        ("5% of R&D", "5 percent of R and D"),
        ("2 + 2 = 4", "2 plus 2 equals 4"),
        ("2*3, 2 * 3 and 6 ÷ 2", "2 times 3, 2 times 3 and 6 divided by 2"),
        ("3<4 and x > 2", "3 less than 4 and x greater than 2"),
        ("C++ and #1 in #toys, ~5", "C++ and number 1 in toys, about 5"),
        ("10-20 or 10–20", "10 to 20 or 10 to 20"),
        ("555-1234 on 2024-05-01", "555-1234 on 2024-05-01"),
        ("-5 or 3.14 or 1,000,000 at 10:30", "-5 or 3.14 or 1,000,000 at 10:30"),
    ],
)
def test_addresses_units_and_signs_are_written_out(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("wow!!! what?!? no..... so,,", "wow! what? no... so,"),
        ("really‼ what⁉", "really! what?"),
        ("I know - really — yes—no", "I know, really, yes, no"),
        ("Bonjour ! Ça va ?", "Bonjour! Ça va?"),
        ("what?—no", "what? no"),
        ('He said "Hi!" (left).', 'He said "Hi!" (left).'),
        ("don't, can’t", "don't, can’t"),
    ],
)
def test_punctuation_that_guides_intonation_stays_with_its_word(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    ("language", "written", "said"),
    [
        ("de", "20°C bei 5 km/h für 3,50€", "20 Grad Celsius bei 5 Kilometer pro Stunde für 3 Euro 50"),
        ("de-CH", "a@b.ch oder 5–6", "a ät b Punkt ch oder 5 bis 6"),
        ("fr", "https://exemple.fr et 5 €", "exemple point fr et 5 €"),
        ("xx", "https://example.xx a@b.xx 5 km/h €5 2+2", "example.xx a@b.xx 5 km/h €5 2+2"),
    ],
)
def test_what_signs_are_called_follows_the_language(language: str, written: str, said: str) -> None:
    assert spoken(written, language) == said


def test_words_of_unspaced_scripts_are_characters_without_spaces() -> None:
    words = speakable_words("「你好」，iPhone很好。 안녕 하세요")
    assert [word.text for word in words] == ["「你", "好」，", "iPhone", "很", "好。 ", "안녕 ", "하세요"]


def test_words_end_where_their_source_ends() -> None:
    text = "Hi 😀 there, **you** [there](http://a.b) now 😀"
    words = speakable_words(text, start=100)
    assert [(word.text, text[: word.end - 100]) for word in words] == [
        ("Hi ", "Hi 😀"),
        ("there, ", "Hi 😀 there,"),
        ("you ", "Hi 😀 there, **you**"),
        ("there ", "Hi 😀 there, **you** [there](http://a.b)"),
        ("now", text),
    ]


@pytest.mark.parametrize("text", ["", "  ", "😀", "...", "---", "# ", "<br>", "```sh", "\x00", "**", "|", "\u200d"])
def test_text_without_speech_gives_no_words(text: str) -> None:
    assert speakable_words(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "-" * 3000 + "x",
        "| -" * 1000 + "x",
        "<a b=c" * 500,
        "](" * 1500,
        "http://a" + "!" * 3000,
        "[x] " * 800,
        "# " * 1500,
    ],
)
def test_degenerate_text_takes_bounded_time(text: str) -> None:
    started = time.perf_counter()
    speakable_words(text)
    assert time.perf_counter() - started < 3


@settings(deadline=None, max_examples=500)
@given(
    st.text(max_size=60)
    | st.text(alphabet=" \n-*_#>`~[](){}<>|\\/&;:.,!?@€$°%+=0123abAB好の😀\u200d\ufe0f\u20e3\x00", max_size=60),
    st.sampled_from(["en", "de", "xx"]),
)
def test_whatever_is_written_what_is_said_is_clean(text: str, language: str) -> None:
    words = speakable_words(text, start=7, language=language)
    ends = [word.end for word in words]
    assert ends == sorted(ends)
    assert not words or (ends[0] > 7 and ends[-1] == 7 + len(text))
    for word in words:
        assert word.text.strip()
        assert word.text == word.text.lstrip()
        assert "  " not in word.text
        for at, char in enumerate(word.text):
            assert not is_pictograph(char) or char == "\u200d"
            joined = is_joiner(char, word.text[at - 1 : at], word.text[at + 1 : at + 2])
            assert not is_silent(char) or joined
