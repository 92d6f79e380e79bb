"""How a character feels and how it shows: traits, words for its moods, what its feelings do to mind, voice and body.

All of it is data of the character, read from its file by `models.temperament_file`; a character without any has the
tables here and a baseline in the middle. How feelings come and go is `models.mood`, what makes them `models.appraisal`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from models.mood import MOST_MOOD, Dynamics, Pad, clipped

Weights = tuple[float, float, float]
"""How much each axis counts: pleasure, arousal, dominance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The Big Five, each from -1 to 1; 0 is the middle of people."""

    openness: float = 0.0
    conscientiousness: float = 0.0
    extraversion: float = 0.0
    agreeableness: float = 0.0
    neuroticism: float = 0.0

    def __post_init__(self) -> None:
        for trait in fields(self):
            if not -1.0 <= getattr(self, trait.name) <= 1.0:
                raise ValueError(f"{trait.name} lies from -1 to 1")


def baseline(traits: Traits) -> Pad:
    """The mood these traits come to rest in: Mehrabian's regression, as ALMA (Gebhard, AAMAS 2005) uses it."""
    stability = -traits.neuroticism
    return clipped(
        0.21 * traits.extraversion + 0.59 * traits.agreeableness + 0.19 * stability,
        0.15 * traits.openness + 0.30 * traits.agreeableness - 0.57 * stability,
        0.25 * traits.openness
        + 0.17 * traits.conscientiousness
        + 0.60 * traits.extraversion
        - 0.32 * traits.agreeableness,
        most=MOST_MOOD,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodWord:
    """What a feeling is called that lies from the baseline in the direction of `at`. `expression` is what the body
    shows of it, by a name that the body's vocabulary has; empty: nothing."""

    word: str
    at: Pad
    expression: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """What feelings do. Each is multiplied by 1 + the sum over the axes of weight * distance from the baseline, within
    the bounds of whoever uses it: sampling, the voice, the body. At the baseline nothing changes.

    The voice after Juslin and Laukka, "Communication of emotions in vocal expression and music performance"
    (Psychological Bulletin, 2003): joy and anger quicker, louder, wider; sadness slower, softer, lower, flatter; fear
    quick and high. `hues` are the colours, in degrees, of the lowest pleasure and of the highest.
    """

    temperature: Weights = (0.05, 0.15, 0.0)
    min_p: Weights = (0.0, -0.25, 0.0)
    rate: Weights = (0.10, 0.20, 0.0)
    pitch: Weights = (0.10, 0.15, -0.10)
    volume: Weights = (0.08, 0.15, 0.08)
    variation: Weights = (0.35, 0.35, 0.0)
    brightness: Weights = (0.20, 0.50, 0.0)
    tempo: Weights = (0.10, 0.60, 0.0)
    amplitude: Weights = (0.20, 0.20, 0.50)
    hues: tuple[float, float] = (220.0, 45.0)


MOOD_WORDS = (
    MoodWord(word="happy", at=Pad(0.8, 0.2, 0.2), expression="smile"),
    MoodWord(word="excited", at=Pad(0.5, 0.8, 0.2), expression="ears_up"),
    MoodWord(word="proud", at=Pad(0.4, 0.2, 0.8), expression="smile"),
    MoodWord(word="calm", at=Pad(0.4, -0.5, 0.3), expression="breathe"),
    MoodWord(word="sleepy", at=Pad(-0.05, -0.9, -0.2), expression="yawn"),
    MoodWord(word="bored", at=Pad(-0.6, -0.6, 0.1), expression="look"),
    MoodWord(word="sad", at=Pad(-0.8, -0.2, -0.5), expression="frown"),
    MoodWord(word="sorry", at=Pad(-0.4, 0.1, -0.7), expression="bow"),
    MoodWord(word="scared", at=Pad(-0.6, 0.6, -0.5), expression="tremble"),
    MoodWord(word="upset", at=Pad(-0.7, 0.5, 0.0), expression="frown"),
    MoodWord(word="angry", at=Pad(-0.5, 0.6, 0.5), expression="ears_back"),
    MoodWord(word="surprised", at=Pad(0.1, 0.9, -0.1), expression="surprise"),
)
"""What a child would call them; between them they leave no direction without a word that is near."""

STIMULI: Mapping[str, Pad] = MappingProxyType(
    {
        "touched": Pad(0.3, 0.1, 0.0),
        "carried": Pad(0.3, 0.2, -0.1),
        "button": Pad(0.1, 0.2, 0.0),
        "shaken": Pad(-0.3, 0.6, -0.3),
        "fall": Pad(-0.5, 0.6, -0.5),
        "dark": Pad(-0.05, -0.3, -0.15),
        "cold": Pad(-0.3, -0.1, -0.15),
        "low_battery": Pad(-0.1, -0.5, -0.2),
    }
)
"""What the body may feel, and the impulse of each at full strength."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperament:
    """Everything about a character's feelings that stays the same.

    `line` tells the model the feeling, which stands in the place of "{}"; `degrees` are what a feeling is called that
    is slight, plain and strong, the word in the place of "{}". `stimuli` the character does not name leave it cold.
    """

    traits: Traits = field(default_factory=Traits)
    emotion_half_life_s: float = 45.0
    mood_half_life_s: float = 5400.0
    pull: float = 0.04
    line: str = "You feel {}."
    degrees: tuple[str, str, str] = ("a little {}", "{}", "very {}")
    words: tuple[MoodWord, ...] = MOOD_WORDS
    flavour: Flavour = field(default_factory=Flavour)
    stimuli: tuple[tuple[str, Pad], ...] = tuple(STIMULI.items())

    @property
    def dynamics(self) -> Dynamics:
        """How this character's feelings come and go."""
        return Dynamics(
            baseline=baseline(self.traits),
            emotion_half_life_s=self.emotion_half_life_s,
            mood_half_life_s=self.mood_half_life_s,
            pull=self.pull,
        )
