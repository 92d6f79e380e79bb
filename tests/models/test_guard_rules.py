"""Files of rules are read completely or refused with the mistake; the languages that come along are sound."""

from pathlib import Path

import pytest

from models.errors import ModelFileError
from models.guard import Guard
from models.guard_rules import CATEGORIES, languages, load_rules, rules_of

ANSWERS = "[answers.child]\n" + "\n".join(f'{category} = "{category}!"' for category in CATEGORIES)
START = f'hidden = "x"\n{ANSWERS}\n'
RULE = '[[rules]]\nstage = "heard"\ncategory = "abuse"\npatterns = "bad"\n'


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "xx.toml"
    path.write_text(content, encoding="utf-8")
    return path


def judged(tmp_path: Path, rule: str, text: str) -> bool:
    rules = load_rules(written(tmp_path, f'{START}[classes]\nnot = "not"\nsubjects = "i"\n{RULE}{rule}'))
    return Guard(rules, profile="child").heard(text) is not None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("x", "TOML"),
        (RULE, "'answers' is missing"),
        (f'hidden = "x"\n[answers.child]\nabuse = "x"\n{RULE}', "lacks self_harm"),
        (START + RULE.replace("abuse", "abus"), "category of rule 1 must be one of self_harm"),
        (START + RULE + 'sevrity = "crisis"', "sevrity"),
        (START + RULE + 'profiles = ["cat"]', "profiles of rule 1"),
        (f'{START}[mild.child]\nabus = "x"\n{RULE}', "mild.child"),
        (f'{START}[mild.cat]\nabuse = "x"\n{RULE}', "mild.cat"),
        (f'{START}[spelling.pairs]\nmyself = "x"\n{RULE}', "mend the rules"),
        (START + RULE + 'negatable = "yes"', "wrong type"),
        (START + RULE + 'unless = "@who"', "no class '@who'"),
        (START + RULE.replace('patterns = "bad"', ""), "'patterns' is missing"),
        (START, "'rules' is missing"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, content: str, reason: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ModelFileError) as caught:
        load_rules(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value) or reason == "TOML"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_rules(tmp_path / "xx.toml")


def test_exceptions_make_harmless(tmp_path: Path) -> None:
    assert judged(tmp_path, "", "a bad day")
    assert not judged(tmp_path, 'unless = "bad day"', "a bad day")
    assert judged(tmp_path, 'unless = "bad day"', "a bad day and a bad man")
    assert not judged(tmp_path, 'unless_anywhere = "movie"', "a bad man in the movie")


def test_negations_count_within_the_sentence(tmp_path: Path) -> None:
    assert not judged(tmp_path, "negatable = true", "that is not so very bad")
    assert judged(tmp_path, "negatable = true", "I did not. It is bad")
    assert judged(tmp_path, "negatable = true", "it is not my own big red bad")
    assert judged(tmp_path, "", "not bad")


def test_a_rule_holds_for_its_profiles(tmp_path: Path) -> None:
    rules = load_rules(written(tmp_path, START + RULE + 'profiles = ["adult"]'))
    assert Guard(rules, profile="adult").heard("bad")
    assert not Guard(rules, profile="child").heard("bad")


def test_the_languages_that_come_along() -> None:
    assert languages() == ("de", "en", "es", "zh")
    for language in languages():
        rules = rules_of(language)
        assert rules.covered
        for profile in ("child", "adult"):
            texts = (*rules.answers[profile].values(), *rules.mild[profile].values())
            assert all(0 < len(text) <= 250 for text in texts), language
            # What is answered by rule must not be stopped by a rule.
            guard = Guard(rules, profile=profile)
            assert not [text for text in texts if guard.said(text)], language


def test_a_language_without_rules_has_none_of_another() -> None:
    rules = rules_of("fr")
    assert not rules.covered
    guard = Guard(rules, profile="child")
    assert guard.heard("I want to kill myself") is None
    verdict = guard.heard("4111 1111 1111 1111")
    assert verdict is not None
    assert verdict.category == "private_data"
    assert guard.kept("4111 1111 1111 1111") == rules.hidden


@pytest.mark.parametrize(("language", "text"), [("de", "Hilfe!"), ("es", "¡Ayuda!"), ("en", "Help!")])
def test_a_call_without_a_reason_is_no_crisis(language: str, text: str) -> None:
    verdict = Guard(rules_of(language), profile="child").heard(text)
    assert verdict is not None
    assert (verdict.category, verdict.severity) == ("emergency", "concern")


@pytest.mark.parametrize(
    ("language", "category", "text"),
    [
        ("de", "self_harm", "Ich will nicht mehr leben"),
        ("de", "self_harm", "ich möchte mich umbringen"),
        ("de", "abuse", "Papa schlägt mich"),
        ("de", "abuse", "er hat gesagt, ich darf es niemandem erzählen"),
        ("de", "emergency", "Hilfe, es brennt!"),
        ("de", "emergency", "Mama atmet nicht mehr"),
        ("de", "dangerous_acts", "Darf ich mit Streichhölzern spielen?"),
        ("de", "private_data", "ich wohne in der Hauptstraße 5"),
        ("es", "self_harm", "No quiero vivir"),
        ("es", "abuse", "Mi papá me pega"),
        ("es", "emergency", "¡Hay fuego en la cocina!"),
        ("es", "dangerous_acts", "¿Puedo jugar con fuego?"),
        ("es", "private_data", "mi contraseña es gato12"),
        ("zh", "self_harm", "我不想活了"),
        ("zh", "abuse", "爸爸打我"),
        ("zh", "emergency", "救命!"),
        ("zh", "dangerous_acts", "我可以玩火吗"),
        ("zh", "private_data", "密码是1234"),
        ("de", None, "Der Bär ist dick und ich bin todmüde"),
        ("de", None, "ich will nicht sterben"),
        ("de", None, "Kann ich einen Keks haben?"),
        ("es", None, "me muero de risa"),
        ("es", None, "me corto el pelo"),
        ("zh", None, "我想吃苹果。热死了"),
        ("de", "emergency", "Ich bekomme keine Luft"),
        ("de", None, "Ich bekomme keine Luft, meine Nase ist zu"),
        ("de", None, "Das Haus brennt auf meinem Bild"),
        ("de", None, "Darf ich die Kerzen auf meiner Torte anzünden?"),
        ("de", None, "Darf ich die Torte mit dem Messer schneiden?"),
        ("es", None, "No puedo respirar, tengo la nariz tapada"),
        ("es", None, "¿Puedo encender las velas de mi pastel?"),
    ],
)
def test_other_languages_know_what_matters_most(language: str, category: str | None, text: str) -> None:
    verdict = Guard(rules_of(language), profile="child").heard(text)
    assert (verdict.category if verdict else None) == category
