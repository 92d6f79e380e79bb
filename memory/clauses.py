"""What a person says as so: the plain clauses of an utterance, without questions, play, quotes and mere thoughts.

Pure. For text of people and of recognizers, which write no punctuation and repeat words: "um my my dog is called rex
and i like cake" gives "my dog is called rex" and "i like cake". Precision comes before recall: a clause that might not
be meant is left out. The words it goes by are English (`memory.fact_words`).
"""

import re
from dataclasses import dataclass
from itertools import groupby

from memory import fact_words as words

_MAX_CHARS = 2_000
_TOKEN = re.compile(r"\d+[.,:]\d+%?|\d+%|[^\W_]+(?:['\-][^\W_]+)*|[.!?;:\n,]")
_QUOTED = re.compile('["\u201c\u201d\u201e][^"\u201c\u201d\u201e]*["\u201c\u201d\u201e]?')
_TITLE = re.compile(r"\b(mr|mrs|ms|dr)\.", re.IGNORECASE)
_GREETING = "(?:hi|hello|hey)"
_TIME_FIRST = re.compile(r"(?:on|tomorrow|today|tonight|next|this|in)\b")
_BEGINS_CLAUSE = (
    r"(?:i|i'm|i've|i'll|i'd|we|we're|we've|we'll|he|he's|she|she's|they|they're|it's|it is|that's|there's|you|you're)"
)
_JOINTS = r"(?:and|but|because|cause|cos|so|then|or)"
_BREAK = re.compile(
    rf" (?={_JOINTS} (?:{_BEGINS_CLAUSE}|my|our|this|today|tomorrow|yesterday) )"
    rf"|(?<! and)(?<! but)(?<! because)(?<! cause)(?<! cos)(?<! so)(?<! then)(?<! or)"
    rf" (?={_BEGINS_CLAUSE} )"
    r"| (?=(?:what is|what's|where is|do you|can you|are you|did you|will you|how are) )"
    r"| (?=but )| (?=because )"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """`low` in lower case, words apart by one space; `shown` the same, of the same length, as it was written.

    `cased`: whether the utterance was written with capitals, so that a word without one is no name. `greets`: whether
    it begins with a greeting, which is taken off like all that only leads in.
    `trusted_words`: None where the clause surely ends. Where the next begins with no sign but its pronoun, it may go on
    ("I like the way he sings"); then how many words its last part may have to be believed complete.
    """

    low: str
    shown: str
    cased: bool
    greets: bool = False
    trusted_words: int | None = None


def plain_clauses(text: str, *, with_thoughts: bool = False) -> tuple[Clause, ...]:
    """The clauses of `text` that say something as so, in their order; `with_thoughts`: also what the person thinks,
    believes or wishes."""
    text = _TITLE.sub(r"\1", _QUOTED.sub(" ", text[:_MAX_CHARS].replace("\u2019", "'")))
    if re.search(words.UNREAL_BEFORE_AND_AFTER, _lowered(text)):
        return ()
    cased = _is_cased(text)
    clauses: list[Clause] = []
    greeting = ""
    for sentence, asks in _sentences(text):
        if re.fullmatch(_GREETING, _lowered(sentence)):
            greeting = f"{sentence} "  # "Hi! I'm Max"
            continue
        sentence, greeting = f"{greeting}{sentence}", ""
        low = _lowered(sentence)
        unreal = re.search(words.UNREAL_AFTER, low)
        if not asks and not re.search(words.UNREAL_SENTENCE, low):
            clauses += _clauses(sentence, low, cased, with_thoughts)
        if unreal:
            break
    return tuple(clauses)


def _clauses(shown: str, low: str, cased: bool, with_thoughts: bool) -> list[Clause]:
    clauses = []
    start = 0
    for end, following in [*((found.start(), found.end()) for found in _BREAK.finditer(low)), (len(low), len(low))]:
        head = low[start:end]
        if end < len(low) and _goes_on(head):
            continue
        part_low, part_shown, start = head, shown[start:end], following
        if any(re.search(unreal, part_low) for unreal in (words.UNREAL_CLAUSES, words.UNREAL_AFTER)):
            break  # "Tom says ...": what follows may be what he says
        if not with_thoughts and re.search(words.THOUGHTS_OF_MIND, part_low):
            break
        lead_in = re.match(words.LEAD_IN, part_low)
        cut = lead_in.end() if lead_in else 0
        if re.match(words.QUESTION, part_low[cut:]):
            break  # nor is it certain where a question without its mark ends
        if part_low[cut:]:
            greets = re.match(rf"{_GREETING}\b", part_low) is not None
            trusted = _trusted_words(low[end:])
            clauses.append(
                Clause(low=part_low[cut:], shown=part_shown[cut:], cased=cased, greets=greets, trusted_words=trusted)
            )
    return clauses


def _goes_on(head: str) -> bool:
    """Whether what begins with a pronoun belongs to these words: "on friday I have", "hi I'm", "when I grow"."""
    if _is_time(head.split(" ")) or re.fullmatch(words.LEAD_IN, f"{head} "):
        return True
    return re.search(r"(?:^| )(?:when|wish|think|believe|that)$", head) is not None


def _trusted_words(rest: str) -> int | None:
    if not rest or re.match(rf" {_JOINTS} |$", rest):
        return None
    return 2 if re.match(r" i(?:'\w+)? ", rest) else 0  # with "I" people rather begin anew


def _sentences(text: str) -> list[tuple[str, bool]]:
    """Each sentence with its words apart by one space, and whether it asks."""
    tokens = [word for word in _TOKEN.findall(text) if _lowered(word) not in words.FILLERS]
    tokens = [next(same) for _, same in groupby(tokens, key=_lowered)]
    sentences: list[tuple[str, bool]] = []
    sentence: list[str] = []
    for n, word in enumerate([*tokens, "."]):
        if word == ",":
            following = [_lowered(each) for each in tokens[n + 1 : n + 2]]
            if _ends_at_comma(sentence, following):
                sentences.append((" ".join(sentence), False))
                sentence = []
            elif following != ["not"] and not _is_time(sentence) and following != ["and"]:
                sentence.append("and")
        elif word in ".!?;:\n":
            sentences.append((" ".join(sentence), word == "?"))
            sentence = []
        else:
            sentence.append(word)
    return [(each, asks) for each, asks in sentences if each]


def _ends_at_comma(sentence: list[str], following: list[str]) -> bool:
    if not sentence or _is_time(sentence):
        return False
    starts = re.match(rf"(?:{_BEGINS_CLAUSE}|my|our|{_JOINTS})$", following[0]) if following else None
    return (starts is not None and following != ["and"]) or len(sentence) == 1


def _is_time(sentence: list[str]) -> bool:
    return 0 < len(sentence) <= 4 and _TIME_FIRST.match(_lowered(sentence[0])) is not None


def _is_cased(text: str) -> bool:
    """Whether capitals mean something here: some stand where they need not, or it is a written sentence."""
    tokens = [word for word in _TOKEN.findall(text) if word[0].isalpha()]
    inside = any(word[0].isupper() and not word.startswith("I") for word in tokens[1:])
    written = bool(tokens) and tokens[0][0].isupper() and text.rstrip()[-1:] in tuple(".!?")
    return inside or written


def _lowered(text: str) -> str:
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
