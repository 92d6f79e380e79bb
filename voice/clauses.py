"""Cuts a reply into clauses to speak and gestures to make, while the model is still writing it.

Text comes from the model piece by piece; clauses go to the synthesizer, the first as early as speech allows, because
the person is waiting for it. The result depends on the text alone, never on how it was cut into pieces or when they
came: `voice.borders` and `voice.gestures` decide nothing before they have seen all that the decision hangs on. What is
said for the words of a clause is decided in `voice.speakable`.
"""

from dataclasses import replace

from voice.borders import Border, Strength, border_at
from voice.gestures import GESTURE_MARKS, GestureSpan, NoGesture, Wait, gesture_at
from voice.messages import Clause, Gesture, SpeechPart
from voice.scripts import is_pictograph, is_wide, letter_weight
from voice.speakable import speakable_words

FIRST_CLAUSE_LETTERS = 10
"""The first clause is the shortest one with so many letters that a border allows: less sounds chopped, more is late."""

LONG_SENTENCE_LETTERS = 120
"""A sentence longer than this (about eight seconds of speech) is cut at its next pause."""

MAX_CLAUSE_LETTERS = 200
"""Text without borders is cut between words here, and between characters at twice this if there are no words."""

_SHORTEST_CUT_LETTERS = 40
"""An overlong sentence is cut at a pause gone by only if this much came before it."""


class ClauseSplitter:
    """One reply: `push` each piece of it, then `finish`. Offsets are code points from the start of the reply.

    The parts tile the reply in order: each begins where the one before ended and includes the text between them. What
    has no speech (an emoji, a closing quote) belongs to the part before it, white space and opening marks to the part
    behind; the last word of a clause ends where the clause ends. Past the last part there may only be text without
    speech. A gesture cut short by the end of the reply is neither spoken nor made.
    """

    def __init__(self, *, language: str = "en") -> None:
        self._language = language
        self._text = ""  # what belongs to no part yet
        self._start = 0  # where that stands in the reply
        self._held: SpeechPart | None = None  # complete but for the speechless text that may follow it
        self._spoke = False
        self._begin_scan()

    def push(self, text: str) -> list[SpeechPart]:
        """Take the next piece of the reply, of any length; return the parts that are complete by it."""
        self._text += text
        return self._parts(final=False)

    def finish(self) -> list[SpeechPart]:
        """The reply is over: return what is left of it."""
        return self._parts(final=True)

    def _parts(self, *, final: bool) -> list[SpeechPart]:
        parts: list[SpeechPart] = []
        while (self._held is None or self._release(parts, final)) and self._find_part(final):
            pass
        return parts

    def _begin_scan(self) -> None:
        self._at = 0  # everything before this index of `_text` has been looked at
        self._letters = 0  # in it, weighted
        self._pause = self._pause_letters = 0  # the last pause in it, and the letters before that
        self._gap = 0  # the last border between words in it

    def _drop(self, n_chars: int) -> None:
        self._text = self._text[n_chars:]
        self._start += n_chars
        self._begin_scan()

    def _release(self, parts: list[SpeechPart], final: bool) -> bool:
        """Hand out the held part once the next letter shows which speechless text still belongs to it."""
        text = self._text
        while self._at < len(text) and not text[self._at].isalnum():
            self._at += 1
        is_end = self._at == len(text)
        if (is_end and not final) or self._held is None:
            return False
        n_more = self._at
        while not is_end and n_more > 0 and not is_pictograph(text[n_more - 1]):
            n_more -= 1
        parts.append(_extended(self._held, n_more))
        self._held = None
        self._drop(n_more)
        return True

    def _find_part(self, final: bool) -> bool:
        """Look on through the text for the end of the next part; hold that part. False if there is none yet."""
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in GESTURE_MARKS:
                match gesture_at(self._text, self._at, final=final):
                    case GestureSpan() as span:
                        return self._hold_gesture(span)
                    case NoGesture(resume=resume):
                        self._at = resume
                        continue
                    case Wait():
                        return False
            border = border_at(self._text, self._at, language=self._language, final=final)
            if border.strength is Strength.WAIT:
                return False
            if self._is_wanted(border) and self._hold_clause(border.end):
                return True
            self._count(char)
            if self._letters > MAX_CLAUSE_LETTERS and self._hold_overlong():
                return True
            self._at = max(border.end, self._at + 1)
        return final and self._hold_clause(len(self._text))

    def _is_wanted(self, border: Border) -> bool:
        """Whether the clause before this border is long enough to be cut here."""
        if border.strength is Strength.NONE:
            return False
        if not self._spoke:
            wanted = self._letters >= FIRST_CLAUSE_LETTERS
        elif border.strength is Strength.SENTENCE:
            wanted = self._letters > 0
        else:
            wanted = self._letters > LONG_SENTENCE_LETTERS
        if not wanted:
            self._pause, self._pause_letters = border.end, self._letters
        return wanted

    def _count(self, char: str) -> None:
        if self._letters > 0 and (char.isspace() or is_wide(char)):
            self._gap = self._at
        self._letters += letter_weight(char)

    def _hold_overlong(self) -> bool:
        """Cut text that has run on for too long: at the last pause, else between words, else before this character."""
        if self._pause_letters >= _SHORTEST_CUT_LETTERS:
            end = self._pause
        elif self._gap > 0:
            end = self._gap
        elif self._letters > 2 * MAX_CLAUSE_LETTERS and self._text[self._at].isalnum():
            end = self._at
        else:
            return False
        if self._hold_clause(end):
            return True
        self._letters = 0  # markup without a word to speak: not to be looked through again at each character
        return False

    def _hold_clause(self, end: int) -> bool:
        """Hold the text before `end` as a clause; False if nothing in it is speech."""
        words = speakable_words(self._text[:end], start=self._start, language=self._language)
        if not words:
            return False
        self._held = Clause(words=words, start=self._start, end=self._start + end)
        self._spoke = True
        self._drop(end)
        return True

    def _hold_gesture(self, span: GestureSpan) -> bool:
        """Hold the words before a gesture, else the gesture itself; of one cut short, nothing."""
        if self._hold_clause(len(self._text[: self._at].rstrip())):
            return True
        if span.name:
            self._held = Gesture(name=span.name, at=self._start + span.end)
        elif self._start == 0:
            return self._hold_clause(span.end)  # all there is of the reply: better said than nothing
        self._drop(span.end)
        return self._held is not None


def _extended(part: SpeechPart, n_chars: int) -> SpeechPart:
    """`part` with the next `n_chars` characters, in which nothing is speech."""
    if isinstance(part, Gesture):
        return replace(part, at=part.at + n_chars)
    last = replace(part.words[-1], end=part.words[-1].end + n_chars)
    return replace(part, words=(*part.words[:-1], last), end=part.end + n_chars)
