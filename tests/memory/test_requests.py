"""What people say about remembering is understood, and what only sounds like it is not."""

import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import requests
from memory.requests import (
    BeginIncognito,
    EndIncognito,
    ForgetAbout,
    ForgetEverything,
    ForgetLast,
    Request,
    confirms,
    understood,
)

LAST = ForgetLast(is_all_said=True)
ALL = ForgetEverything()
BEGIN = BeginIncognito()
END = EndIncognito()

ENGLISH: list[tuple[str, Request | None]] = [
    ("forget that", LAST),
    ("Forget that.", LAST),
    ("Please forget that!", LAST),
    ("Oh no, please forget that.", LAST),
    ("Can you forget that, please?", LAST),
    ("Could you please just forget that?", LAST),
    ("Pip, forget that.", LAST),
    ("Hey Pip, please forget this", LAST),
    ("Forget that, Pip.", LAST),
    ("forget what I just said", LAST),
    ("Forget what I said just now", LAST),
    ("I want you to forget what I told you.", LAST),
    ("I'd like you to forget that", LAST),
    ("I\u2019d like you to forget that", LAST),
    ("forget the last thing I said", LAST),
    ("Forget the last thing that I told you, okay?", LAST),
    ("forget that I said that", LAST),
    ("forget I said anything", LAST),
    ("forget everything I just said", LAST),
    ("erase that from your memory", LAST),
    ("delete what I just said", LAST),
    ("Don't remember that.", LAST),
    ("You should forget that now, please.", LAST),
    ("My password is banana. Forget that.", ForgetLast(is_all_said=False)),
    ("Forget that. Let's play.", ForgetLast(is_all_said=False)),
    ("forget about my cat", ForgetAbout(words="cat")),
    ("Please forget about my old cat Tom.", ForgetAbout(words="old cat tom")),
    ("forget about Tom", ForgetAbout(words="tom")),
    ("Forget all about Grandma", ForgetAbout(words="grandma")),
    ("forget everything about school", ForgetAbout(words="school")),
    ("forget everything you know about the red mitten", ForgetAbout(words="red mitten")),
    ("forget what I told you about my birthday party", ForgetAbout(words="birthday party")),
    ("forget everything I've ever told you about Peter", ForgetAbout(words="peter")),
    ("forget that I told you about my sister", ForgetAbout(words="sister")),
    ("delete everything about my brother, please", ForgetAbout(words="brother")),
    ("Pip, forget about my cat.", ForgetAbout(words="cat")),
    ("forget everything", ALL),
    ("Forget everything about me.", ALL),
    ("Please forget everything you know about me", ALL),
    ("forget all about me", ALL),
    ("can you forget everything I told you?", ALL),
    ("forget everything I've ever said", ALL),
    ("erase your memory", ALL),
    ("wipe your whole memory, please", ALL),
    ("delete all your memories of me", ALL),
    ("erase everything you know about me", ALL),
    ("don't remember this", BEGIN),
    ("Please don't remember this.", BEGIN),
    ("do not remember any of this", BEGIN),
    ("don't save this conversation", BEGIN),
    ("don't remember what I'm about to say", BEGIN),
    ("don't record what I tell you now", BEGIN),
    ("this is private", BEGIN),
    ("Wait, this is private.", BEGIN),
    ("This is off the record.", BEGIN),
    ("off the record", BEGIN),
    ("let's go off the record", BEGIN),
    ("that's confidential", BEGIN),
    ("go incognito", BEGIN),
    ("turn on private mode", BEGIN),
    ("stop remembering things", BEGIN),
    ("Off the record. I do not like my teacher.", BEGIN),
    ("you can remember again", END),
    ("You may remember things again.", END),
    ("OK, you can start remembering again now", END),
    ("remember everything from now on", END),
    ("back on the record", END),
    ("we're back on the record", END),
    ("turn off incognito mode", END),
    ("this isn't private anymore", None),
    ("it's not private anymore", END),
    # What only sounds like it.
    ("don't forget that", None),
    ("Please don't forget that!", None),
    ("Don't you forget that.", None),
    ("do not forget what I just said", None),
    ("never forget that", None),
    ("never forget me", None),
    ("Don't ever forget me.", None),
    ("I'll never forget that day", None),
    ("I will never forget that.", None),
    ("I forgot that", None),
    ("I forgot what I just said", None),
    ("I always forget that.", None),
    ("I want to forget that", None),
    ("I can't forget that.", None),
    ("Did you forget that?", None),
    ("Will you forget me?", None),
    ("Would you forget me?", None),
    ("Do you forget everything?", None),
    ("Why do you forget everything?", None),
    ("You forget everything I tell you", None),
    ("You always forget that.", None),
    ("Mum says forget that", None),
    ("He said: forget that nonsense", None),
    ("Forget that nonsense and listen", None),
    ("forget it", None),
    ("Oh, forget it.", None),
    ("never mind", None),
    ("forget about it", None),
    ("forget about the dishes", None),
    ("forget about homework", None),
    ("forget about him", None),
    ("Let's forget that and play ball", None),
    ("I don't remember this", None),
    ("I don't remember that.", None),
    ("Don't you remember this?", None),
    ("Why don't you remember this?", None),
    ("you don't remember this song", None),
    ("Do you remember this?", None),
    ("remember this", None),
    ("Remember that I like cats.", None),
    ("this is a secret", None),
    ("my diary is private", None),
    ("This is private property", None),
    ("a private mode of transport", None),
    ("I broke the record", None),
    ("forget-me-nots are blue", None),
    ("Forget me not.", None),
    ("How could I forget that?", None),
    ("If I tell you, can you forget that I was scared of dogs?", None),
    ("what does forget everything mean", None),
    ("I can remember again where I put it", None),
    ("can you remember my name again", None),
    ("delete that", None),
    ("", None),
    ("   ...   ", None),
    ("forget", None),
    ("forget about", None),
]

OTHERS: list[tuple[str, str, Request | None]] = [
    ("de", "Vergiss das.", LAST),
    ("de", "Bitte vergiss das wieder.", LAST),
    ("de", "Vergiss, was ich gerade gesagt habe", LAST),
    ("de", "Vergiss bitte alles, was ich dir eben erzählt habe.", LAST),
    ("de", "Kannst du das bitte vergessen?", LAST),
    ("de", "Pip, vergiss das bitte!", LAST),
    ("de", "Vergiss alles über meine Katze", ForgetAbout(words="katze")),
    ("de", "Vergiss alles, was ich dir über den Fußball erzählt habe.", ForgetAbout(words="fußball")),
    ("de", "Vergiss alles!", ALL),
    ("de", "Bitte vergiss alles über mich.", ALL),
    ("de", "Vergiss alles, was du über mich weißt", ALL),
    ("de", "Lösche dein Gedächtnis", ALL),
    ("de", "Merk dir das nicht.", BEGIN),
    ("de", "Das ist privat.", BEGIN),
    ("de", "Hör auf, dir Sachen zu merken.", BEGIN),
    ("de", "Merk dir nicht, was ich jetzt sage", BEGIN),
    ("de", "Du darfst dir jetzt wieder alles merken", END),
    ("de", "Das ist nicht mehr privat.", END),
    ("de", "Vergiss das nicht!", None),
    ("de", "Vergiss mich nicht", None),
    ("de", "Das vergesse ich nie.", None),
    ("de", "Ich habe das vergessen.", None),
    ("de", "Vergiss es.", None),
    ("de", "Merk dir das!", None),
    ("de", "Vergiss nicht, was ich gesagt habe", None),
    ("es", "Olvida eso.", LAST),
    ("es", "Por favor, olvida lo que acabo de decir", LAST),
    ("es", "¿Puedes olvidar eso, por favor?", LAST),
    ("es", "Olvida todo sobre mi gato", ForgetAbout(words="gato")),
    ("es", "Olvida todo lo que sabes de mí.", ALL),
    ("es", "¡Borra tu memoria!", ALL),
    ("es", "No recuerdes esto.", BEGIN),
    ("es", "Esto es privado", BEGIN),
    ("es", "Ya puedes volver a recordar", END),
    ("es", "No olvides eso.", None),
    ("es", "Nunca olvides eso", None),
    ("es", "Olvídalo.", None),
    ("es", "No recuerdo eso", None),
    ("es", "Me olvidé de todo", None),
    ("zh", "请忘掉这件事吧。", LAST),
    ("zh", "把我刚才说的话忘掉", LAST),
    ("zh", "忘掉关于我的猫的一切", ForgetAbout(words="我的猫")),
    ("zh", "忘掉一切", ALL),
    ("zh", "清除你的记忆", ALL),
    ("zh", "不要记住这个", BEGIN),
    ("zh", "你可以重新开始记住东西了", END),
    ("zh", "别忘了这个", None),
    ("zh", "我忘了这件事", None),
    ("zh", "不要忘掉这件事", None),
]


@pytest.mark.parametrize(("said", "meant"), ENGLISH)
def test_english_requests(said: str, meant: Request | None) -> None:
    assert understood(said, names=("Pip",)) == meant


@pytest.mark.parametrize(("language", "said", "meant"), OTHERS)
def test_requests_in_other_languages(language: str, said: str, meant: Request | None) -> None:
    assert understood(said, language, names=("Pip",)) == meant


def test_there_are_enough_cases() -> None:
    cases = [*ENGLISH, *OTHERS]
    assert len(cases) >= 160
    assert len({case[:-1] for case in cases}) == len(cases)


def test_a_request_is_one_in_its_own_language_only() -> None:
    assert understood("forget that", "de") is None
    assert understood("forget that", "xx") is None
    assert understood("Vergiss das.", "en") is None


@pytest.mark.parametrize(
    ("language", "said", "is_yes"),
    [
        ("en", "Yes.", True),
        ("en", "yes, please", True),
        ("en", "Yes. Everything.", True),
        ("en", "I'm sure", True),
        ("en", "yes, forget it all", True),
        ("en", "no", False),
        ("en", "yes but not my cat", False),
        ("en", "yesterday", False),
        ("en", "I don't know", False),
        ("en", "", False),
        ("de", "Ja, bitte.", True),
        ("de", "Ja, aber nicht meine Katze", False),
        ("es", "Sí, claro", True),
        ("es", "no", False),
        ("zh", "是的", True),
        ("zh", "不是", False),
        ("xx", "yes", False),
    ],
)
def test_only_a_plain_yes_confirms(language: str, said: str, is_yes: bool) -> None:
    assert confirms(said, language) is is_yes


def test_every_language_has_all_kinds_of_rules() -> None:
    rules = Path(requests.__file__).parent / "data" / "requests.toml"
    languages = tomllib.loads(rules.read_text(encoding="utf-8"))
    assert len({frozenset(table) for table in languages.values()}) == 1
    for language in languages:
        assert understood("x", language) is None


@settings(deadline=None, max_examples=200)
@given(said=st.text(max_size=300), language=st.sampled_from(["en", "de", "es", "zh", "ja", ""]))
def test_any_words_can_be_said(said: str, language: str) -> None:
    understood(said, language, names=("Pip", "", "a+("))
    confirms(said, language)


def test_no_words_take_long_to_be_understood() -> None:
    said = ["please " * 50 + "forget", "forget everything about " + "a " * 150, "oh no " * 60, "yes, " * 70]
    understood("hello")
    begun = time.perf_counter()
    for each in said:
        assert understood(each) is None
        confirms(each)
    assert time.perf_counter() - begun < 2.0
