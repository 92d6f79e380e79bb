"""The feelings of the character that talks: moved by what happens, asked by what they colour, kept over restarts.

The dialogue tells what was heard and said, the body what it felt; prompt, sampler, mouth and body ask. The figures are
those of `models.mood`, `models.appraisal` and `device.flavour`; this adds the clock, the memory, and what a turn is.

Within a turn the words may still change: `heard` and `recalled` replace what was told before, until `said` ends the
turn. The line for the prompt is chosen when it is first asked for in a turn and stays, whatever is felt meanwhile, so
that nothing prefilled behind it is lost; what is felt about the newest words themselves is heard in the voice.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from device.flavour import MindFlavour, look_of, mind_of, prosody_of
from firmware_bridge.body import Expression, ExpressionName
from firmware_bridge.look import Look, approached
from memory.errors import MemoryStoreError
from memory.messages import Stimulus
from memory.moods import Mood, load_mood, save_mood
from memory.worker import AsyncMemory
from models.appraisal import heard_impulse, recalled_impulse, said_impulse, stimulus_impulse
from models.character import Character
from models.errors import CharacterError
from models.mood import NEUTRAL, MoodState, Pad, advance, at_rest, contained, felt_impulse, is_inside
from models.mood_words import Feeling, line, name_feeling
from models.mood_words import describe as described
from models.sampling import Sampling
from models.temperament import MoodWord
from voice.messages import Prosody

log = logging.getLogger(__name__)

Emotions = Sequence[float] | bytes
"""The 28 of `models.emotions`: probabilities, or bytes with 255 for 1."""

LINE_HOLD_S = 120.0
"""How long the line of a turn stays that never ends: longer than anybody speaks at a stretch."""

SAVE_EVERY_S = 60.0
"""A mood is a write to an SD card. A loss of power costs at most the feelings of the last minute."""

STIMULUS_KEPT_EVERY_S = 60.0
"""Of each kind one a minute is remembered: that it was carried, not each step."""

_MOST_UNSAVED = 64
"""Stimuli that wait for the next save; when full, the oldest are forgotten."""

_INTENSITY = (0.3, 0.6, 0.9)
"""What the body shows of a feeling that is slight, plain and strong, as for gestures."""


class Feelings:
    """One character's feelings. All methods but `restore` and `save` return at once, in some tens of µs."""

    def __init__(
        self,
        character: Character,
        *,
        memory: AsyncMemory | None = None,
        person: str | None = None,
        clock_s: Callable[[], float] = time.monotonic,
        time_s: Callable[[], float] = time.time,
        on_change: Callable[[MoodState], None] | None = None,
    ) -> None:
        """At rest until `restore`. `clock_s` tells how time passes, `time_s` what time it is, in seconds since 1970:
        a clock that is set right while the companion runs is no time in which feelings pass. `person` is who is there
        when the body feels something. `on_change` is told the state whenever something moved it.

        Raises CharacterError for an expression that bodies do not have.
        """
        self._name = character.name
        self._temperament = character.temperament
        self._dynamics = character.temperament.dynamics
        self._effects = dict(character.temperament.stimuli)
        self._faces = {mood: _expression(mood) for mood in character.temperament.words if mood.expression}
        self._memory = memory
        self._person = person
        self._clock_s, self._time_s = clock_s, time_s
        self._on_change = on_change
        self._state = at_rest(self._dynamics, clock_s())
        self._before_turn: MoodState | None = None
        """What was felt but for the words of the present turn, which may still change."""
        self._heard = self._recalled = NEUTRAL
        self._line: str | None = None
        self._line_at_s = 0.0
        self._line_feeling: Feeling | None = None
        self._face: Feeling | None = None
        self._mind = MindFlavour()
        self._prosody = Prosody()
        self._look: tuple[Look, float] | None = None
        self._last_felt_s: dict[str, float] = {}
        self._last_kept_s: dict[str, float] = {}
        self._unsaved: list[Stimulus] = []
        self._changed = False
        self._saved_at_s = clock_s()

    @property
    def state(self) -> MoodState:
        """What is felt now."""
        return advance(self._state, self._clock_s(), self._dynamics)

    # What happens ---------------------------------------------------------------------------------------------------

    def heard(self, emotions: Emotions) -> None:
        """The person's words of this turn so far, or all of them: the latest count. Raises ValueError for not 28."""
        self._heard = heard_impulse(emotions, self._temperament.traits.agreeableness)
        self._feel_words()

    def recalled(self, memories: Sequence[Emotions]) -> None:
        """The feelings of what was brought back for the words of this turn: the latest count. As `heard`."""
        self._recalled = recalled_impulse(memories)
        self._feel_words()

    def said(self, emotions: Emotions | None = None) -> None:
        """The turn is over: what its words made felt stays. `emotions` are those of the reply as far as it was heard,
        None if nothing was. As `heard`."""
        self._before_turn, self._line = None, None
        self._heard = self._recalled = NEUTRAL
        self._feel(said_impulse(emotions) if emotions is not None else NEUTRAL)

    def stimulus(self, kind: str, strength: float = 1.0) -> None:
        """The body felt something, of a strength from 0 to 1. What the temperament has no name for is passed over."""
        effect, now_s = self._effects.get(kind), self._clock_s()
        if effect is None:
            return
        since_s = now_s - self._last_felt_s.get(kind, float("-inf"))
        self._last_felt_s[kind] = now_s
        if now_s - self._last_kept_s.get(kind, float("-inf")) >= STIMULUS_KEPT_EVERY_S:
            self._last_kept_s[kind] = now_s
            kept = Stimulus(kind=kind, strength=min(1.0, max(0.0, strength)), happened_at=self._time_s())
            self._unsaved = [*self._unsaved, kept][-_MOST_UNSAVED:]
        self._feel(stimulus_impulse(effect, strength, since_s))

    def _feel_words(self) -> None:
        """Feel what the words of this turn do, in the place of what earlier versions of them did."""
        before = advance(self._before_turn or self._state, self._clock_s(), self._dynamics)
        self._before_turn = before
        self._state = felt_impulse(felt_impulse(before, self._recalled, self._dynamics), self._heard, self._dynamics)
        self._tell()

    def _feel(self, impulse: Pad) -> None:
        """Feel what has nothing to do with the words that may still change."""
        self._state = felt_impulse(self.state, impulse, self._dynamics)
        if self._before_turn is not None:
            before = advance(self._before_turn, self._clock_s(), self._dynamics)
            self._before_turn = felt_impulse(before, impulse, self._dynamics)
        self._tell()

    def _tell(self) -> None:
        self._changed = True
        if self._on_change is not None:
            self._on_change(self._state)

    # What it does ---------------------------------------------------------------------------------------------------

    def line(self) -> str:
        """One short line that tells the model what it feels, empty near the baseline. The same for a whole turn."""
        now_s = self._clock_s()
        if self._line is None or now_s - self._line_at_s > LINE_HOLD_S:
            state = advance(self._before_turn or self._state, now_s, self._dynamics)
            self._line_feeling = name_feeling(state, self._temperament, self._line_feeling)
            self._line, self._line_at_s = line(self._line_feeling, self._temperament), now_s
        return self._line

    def sampling(self, base: Sampling) -> Sampling:
        """`base`, more or less adventurous."""
        self._mind = mind_of(self.state, self._temperament, self._mind)
        return self._mind.of(base)

    def prosody(self) -> Prosody:
        """How the voice sounds now: for `voice.mouth.Mouth`, which asks."""
        self._prosody = prosody_of(self.state, self._temperament, self._prosody)
        return self._prosody

    def look(self) -> Look:
        """What the body looks like now, no further from the last answer than it may change in the time since.

        For bodies with light and motion; the seam `firmware_bridge.body.Body` has no call for it yet.
        """
        wanted, now_s = look_of(self.state, self._temperament), self._clock_s()
        if self._look is not None:
            shown, shown_at_s = self._look
            wanted = approached(shown, wanted, now_s - shown_at_s)
        self._look = (wanted, now_s)
        return wanted

    def expression(self, at_s: float) -> Expression | None:
        """What the body shows of the feeling, at `at_s` of the monotonic clock; None for nothing in particular."""
        self._face = name_feeling(self.state, self._temperament, self._face)
        name = self._faces.get(self._face.word) if self._face else None
        if name is None or self._face is None:
            return None
        return Expression(name=name, intensity=_INTENSITY[self._face.degree], at_s=at_s)

    def describe(self) -> str:
        """The feelings for people: a word and the figures."""
        return described(self.state, self._temperament)

    # Over restarts --------------------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Wake up in the mood that was earned, less what passed of it in the time asleep; at rest if none was kept.

        Raises MemoryStoreError.
        """
        mood = await self._memory.ask(load_mood, self._name) if self._memory is not None else None
        if mood is None:
            return
        kept = state_of(mood)
        if kept is None:
            log.warning("the mood of %s that memory has is none; it begins at rest", self._name)
            return
        awake = advance(contained(kept, self._dynamics), self._time_s(), self._dynamics)
        self._state = replace(awake, at_s=self._clock_s())

    async def save(self, *, at_once: bool = False) -> None:
        """Keep the mood, and what the body felt, if anything moved it since the last time: at most once in
        SAVE_EVERY_S, or `at_once`, which is for the end. Where memory fails, a warning says so and it is tried again.
        """
        now_s = self._clock_s()
        due = at_once or now_s - self._saved_at_s >= SAVE_EVERY_S
        if self._memory is None or not self._changed or not due:
            return
        self._saved_at_s, self._changed = now_s, False
        stimuli, self._unsaved = self._unsaved, []
        try:
            await self._memory.ask(save_mood, self._name, _kept(self.state, self._time_s()), stimuli, self._person)
        except MemoryStoreError as error:
            log.warning("the mood was not kept: %s", error)
            self._changed = True
            self._unsaved = [*stimuli, *self._unsaved][-_MOST_UNSAVED:]


def figures(state: MoodState) -> dict[str, float]:
    """The state in numbers, for the trace: the mood, and what is felt with the emotion on top of it."""
    named = {f"mood_{axis}": value for axis, value in state.mood._asdict().items()}
    named |= {f"felt_{axis}": value for axis, value in state.felt._asdict().items()}
    return {name: round(value, 3) for name, value in named.items()}


def state_of(mood: Mood) -> MoodState | None:
    """A mood from memory as a state on the clock of the day; None if its figures are none that anybody could feel."""
    state = MoodState(
        mood=Pad(mood.pleasure, mood.arousal, mood.dominance),
        emotion=Pad(mood.emotion_pleasure, mood.emotion_arousal, mood.emotion_dominance),
        at_s=mood.felt_at,
    )
    return state if is_inside(state.mood) and is_inside(state.emotion) else None


def _kept(state: MoodState, felt_at: float) -> Mood:
    emotion = {f"emotion_{axis}": value for axis, value in state.emotion._asdict().items()}
    return Mood(**state.mood._asdict(), **emotion, felt_at=felt_at)


def _expression(mood: MoodWord) -> ExpressionName:
    try:
        return ExpressionName(mood.expression)
    except ValueError as error:
        raise CharacterError(
            f"the mood {mood.word!r} has the expression {mood.expression!r}, which bodies do not have; "
            f"known are {', '.join(ExpressionName)}"
        ) from error
