"""An hour with a child, felt through the encoder that ships: what a parent would expect of a toy's feelings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import pytest

from device.feelings import Feelings
from models.character import Character, starter_character
from models.encoder import Encoder
from models.temperament import Temperament
from voice.messages import Prosody

TURN_S, HOUR_S = 15.0, 3600.0
AN_HOUR = int(HOUR_S / TURN_S)

NEUTRAL = (
    "What time is it?",
    "It is raining.",
    "We have to go now.",
    "The ball is under the table.",
    "My shoes are red.",
    "Tomorrow is Tuesday.",
    "I have a brother.",
    "Mom is cooking.",
    "Where does the sun go at night?",
    "I am eating an apple.",
    "How many legs does a spider have?",
    "We drove to the shop.",
    "The cup is blue.",
    "What is your name?",
    "I can count to ten.",
    "Do fish sleep?",
)
CHEERFUL = (
    "I am so happy today!",
    "You are my best friend, Pip.",
    "Yay, we won the game!",
    "I love you.",
    "That is so funny, haha!",
    "Thank you, that was great!",
    "I got a new puppy, it is so cute!",
    "Look, I made you a picture!",
    "We are going to the zoo, I can't wait!",
    "This is the best day ever!",
    "Wow, that is cool!",
    "Grandma is coming, I am so glad.",
)
SAD = ("My hamster died.", "I am very sad.", "I miss him so much.", "I cried all night.")
UNKIND = (
    "You are stupid.",
    "I hate you!",
    "Go away.",
    "You are so boring.",
    "Shut up!",
    "I am angry with you.",
    "Stop it, I don't like you.",
)
REPLIES = (
    "I love to play!",
    "That is so nice!",
    "I like the moon. It is so round!",
    "Yes, let us play!",
    "Wow, that sounds fun!",
    "You are welcome, my friend!",
    "I am happy to hear that.",
    "Once there was a little fox.",
)
COMFORT = ("I am sorry to hear that.", "Oh no, that is sad.", "I am here with you.")

Read = Callable[[str], list[float]]


@pytest.fixture(scope="module")
def read() -> Read:
    encoder = Encoder()
    return cache(lambda text: encoder.encode((text,))[0].emotions.tolist())


@dataclass
class Talk:
    """A character that is talked to, turn after turn, and what was to be seen and heard of its feelings."""

    read: Read
    character: Character = field(default_factory=starter_character)
    turn_s: float = TURN_S
    now_s: float = 0.0
    lines: list[str] = field(default_factory=list)
    voices: list[Prosody] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.feelings = Feelings(self.character, clock_s=lambda: self.now_s)

    def about(self, texts: Sequence[str], turns: int, replies: Sequence[str] = REPLIES) -> "Talk":
        """So many turns of these texts, and the lines and voices of them alone."""
        self.lines, self.voices = [], []
        for turn in range(turns):
            self.now_s += self.turn_s / 2
            self.lines.append(self.feelings.line())
            self.feelings.heard(self.read(texts[turn % len(texts)]))
            self.voices.append(self.feelings.prosody())
            self.now_s += self.turn_s / 2
            self.feelings.said(self.read(replies[turn % len(replies)]))
        return self

    def wait(self, seconds: float) -> str:
        """The line after so much silence."""
        self.now_s += seconds
        return self.feelings.line()


def is_within_bounds(voice: Prosody) -> bool:
    """Whether no factor has run into its end, of `device.flavour`."""
    return (
        0.8 < voice.rate < 1.25
        and 0.85 < voice.pitch < 1.2
        and 0.7 < voice.volume < 1.15
        and 0.6 < voice.variation < 1.5
    )


@pytest.mark.parametrize("turn_s", [6.0, 15.0, 40.0])
def test_ordinary_talk_leaves_it_as_it_is(read: Read, turn_s: float) -> None:
    talk = Talk(read, turn_s=turn_s).about(NEUTRAL, 80)
    assert set(talk.lines) <= {"", "You feel a little calm."}
    assert all(0.95 <= voice.rate <= 1.05 for voice in talk.voices)
    assert all(0.9 <= voice.variation <= 1.1 for voice in talk.voices)
    assert set(talk.about(NEUTRAL, AN_HOUR, replies=REPLIES[:7]).lines) <= {"", "You feel a little calm."}


def test_ten_cheerful_turns_make_it_happy(read: Read) -> None:
    talk = Talk(read).about(CHEERFUL, 10)
    assert talk.lines[-1] == "You feel happy."
    assert not any("very" in line or "excited" in line for line in talk.lines)
    assert talk.voices[-1].rate > 1.0
    assert all(map(is_within_bounds, talk.voices))


@pytest.mark.parametrize("temperament", [starter_character().temperament, Temperament()], ids=["pip", "plain"])
@pytest.mark.parametrize("turn_s", [6.0, 15.0])
def test_an_hour_of_cheer_stays_cheer(read: Read, temperament: Temperament, turn_s: float) -> None:
    character = Character(name="X", persona="x", temperament=temperament)
    talk = Talk(read, character, turn_s).about(CHEERFUL, int(HOUR_S / turn_s))
    assert not any("very" in line for line in talk.lines)
    assert all(map(is_within_bounds, talk.voices))
    assert talk.wait(HOUR_S) in ("", "You feel a little happy.", "You feel a little excited.")
    assert 0.95 <= talk.feelings.prosody().rate <= 1.05


@pytest.mark.parametrize("cheerful_turns", [10, AN_HOUR])
def test_a_sad_word_after_cheerful_ones_is_felt_as_sad(read: Read, cheerful_turns: int) -> None:
    talk = Talk(read).about(CHEERFUL, cheerful_turns)
    talk.about(SAD, 3, replies=COMFORT)
    voice = talk.voices[-1]
    assert voice.rate < 1.0
    assert voice.volume < 1.0
    assert voice.variation < 0.9
    assert talk.wait(0.0) in ("You feel a little sad.", "You feel sad.")
    assert not any("excited" in line for line in talk.lines)
    assert "sad" not in talk.about(CHEERFUL, 3).lines[-1], "and it can be cheered up"


def test_kind_words_after_unkind_ones_surprise_nobody(read: Read) -> None:
    talk = Talk(read).about(UNKIND, 80)
    assert talk.lines[-1] == "You feel upset."
    talk.about(CHEERFUL, 40)
    lines = [*talk.lines, *(talk.wait(30.0) for _ in range(120))]
    assert not any("surprised" in line for line in lines)
    assert "happy" in talk.lines[4]
    assert lines[-1] == ""


def test_unkind_words_are_not_what_it_is_for_ever(read: Read) -> None:
    talk = Talk(read).about(UNKIND, 80).about(NEUTRAL, 20)
    assert talk.lines[-1] == ""
    assert talk.wait(HOUR_S) == ""
