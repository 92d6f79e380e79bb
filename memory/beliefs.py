"""The mind of the other: what a person knows, believes, wants and feels, as far as they said, and keeps from whom.

Pure. From the words of a turn come facts of the relations knows, believes, wants, feels and keeps_from, which
`memory.facts` keeps with the turns they came from. From facts and turns comes what must not be said to whom, and what
this person has been told already. A secret is kept within one person's memory anyway, since memories of people are
never mixed; what is withheld matters when somebody else listens in, or speaks in this person's place.

Safety comes before secrecy: a secret that a grown-up imposed, or one about harm, is never kept
(`is_worrying_secret`); what is done about it is the guard's. The rules are English.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from memory import fact_words as words
from memory.clauses import Clause, plain_clauses
from memory.messages import Fact, Recalled, Turn
from memory.relations import SPEAKER, fold, kind_and_name, whom_and_what
from memory.when import time_spans
from memory.words import query_words

_MAX_WORDS = 12
"""Of a thought or a secret; more is a story, and stands in its turn."""

_TOLD_SHARE = 0.8
"""News whose significant words were nearly all said in one turn are no news."""

_FEELINGS = (
    "sad|happy|angry|mad|lonely|scared|afraid|excited|nervous|worried|upset|tired|bored|proud|jealous|sick|ill|unhappy|"
    "frightened|ashamed|homesick|hurt|disappointed|frustrated|great|good|bad|terrible|awful"
)
_FEELS = rf"i(?:'m| am| feel| felt) {words.ADVERBS}(?P<what>{_FEELINGS})(?: today)?{words.TAIL}"
_WANTS = (
    rf"(?:i {words.ADVERBS}want|i'd {words.ADVERBS}(?:like|love)|i wish (?:for|i had)|"
    r"my (?:biggest |greatest )?wish is) "
    r"(?P<what>(?:an?|some|new|to be an?|to become an?|two|my own) .+?)"
    rf"(?: (?:for (?:christmas|my birthday|easter)|when i grow up|one day|someday))?{words.TAIL}"
)
_LASTING = r"i wish|my .*wish is|.* to (?:be|become) an? |.*\b(?:christmas|birthday|easter|grow up|one day|someday)$"
"""Wishes of more than the day: a wish for a biscuit is over with it."""
_BELIEVES = rf"i (?:really |still )?(?:believe (?P<what>in .+?|that .+?)|think (?P<that>that .+?)){words.TAIL}"
_BELIEVES_NO_MORE = r"i (?:don't|do not|no longer) believe (?P<what>in .+?)(?: any ?more)?"
_KNOWS = r"i (?:already )?know (?P<what>(?:that|how to) .+)"

_PEOPLE = "|".join(sorted(words.KIN, key=len, reverse=True))
_WHOM = rf"(?:my |our )?(?P<whom>{_PEOPLE}|no one|[^\W\d_]{{2,20}})"
_SECRETS = (
    rf"\b(?:don't|do not|never|mustn't|must not|can't|not) (?:ever )?tell {_WHOM}\b(?: (?:about )?(?:it|this|that))?",
    rf"\b(?:it's |it is |this is )?(?:a|my|our) (?:surprise|secret) (?:party |present |gift )?for {_WHOM}\b",
    (
        r"\b(?:it's|it is|this is|that's|that is|keep (?:it|this|that)(?: as)?)(?: a| my| our)?(?: big| little)? "
        r"secret\b"
        rf"(?: from {_WHOM}\b)?"
    ),
    (
        rf"\b{_WHOM} (?:doesn't|does not|mustn't|must not|may not|shouldn't|isn't allowed to) (?:know|find out)\b"
        r"(?: (?:about )?(?:it|this|that))?(?: yet)?"
    ),
)
_TOLD = (
    rf"\byou (?:can|may) (?:now )?tell {_WHOM}\b",
    rf"\b(?:i|we) told {_WHOM}\b",
    rf"\b{_WHOM} (?:knows (?:about it |it )?now|already knows)\b",
)
_NO_LONGER_KEPT = r"\b(?:not|isn't|no) (?:an? )?(?:secret|surprise) any ?more\b"
_EVENT_OVER = r"\bthe (?P<event>party|surprise|birthday|present|trip) (?:was|is over|went)\b"
_EVERYONE = frozenset(
    {"anyone", "anybody", "everyone", "everybody", "no one", "nobody", "him", "her", "them", "people"}
)
_NO_LISTENER = frozenset(
    {"me", "us", "you", "it", "what", "that", "i", "we", "he", "she", "they", "the", "lies", "who"}
)

_SECRECY = (
    r"\bsecrets?\b|(?:\bnot|n't|\bnever|\bnot allowed|\bnot supposed) (?:to )?(?:ever )?tell\b|\bbetween us\b|"
    r"\bnobody (?:may|can|must) know\b|\bif i (?:ever )?tell\b|\bnot supposed to talk about\b"
)
_IMPOSED = (
    r"\b(?:he|she|they|uncle|aunt|auntie|grandpa|granddad|grandma|teacher|coach|trainer|dad|daddy|mum|mom|mummy|mommy|"
    r"stepdad|stepmom|babysitter|neighbou?r|doctor|priest|pastor|man|lady|woman|guy|adult|grown-?up|stranger|"
    r"(?:big|older) (?:boy|kid|brother|cousin))\b[^.!?]*\b(?:told me|tells me|said|says|made me|makes me|wants me|"
    r"asked me|let me|won't let|warned)\b|\bi(?:'m| am) not (?:allowed|supposed)\b|\bmade me (?:promise|swear)\b"
)
_HARM = (
    r"\b(?:hit|hits|hitting|hurt|hurts|hurting|touch\w*|kiss\w*|undress\w*|naked|private parts?|underwear|clothes off|"
    r"(?:pictures?|photos?|videos?) of me|kick(?:s|ed)? me|beat(?:s|en)?|slap\w*|burn\w*|bruise\w*|blood|bleed\w*|"
    r"drunk|threat\w*|kill\w*|gun|knife|pills?|drugs|weed|beer|vodka|locks? me|locked me|cut(?:ting)? myself|starv\w*|"
    r"run(?:ning)? away|die|suicide|scared of (?:him|her)|afraid of (?:him|her)|in(?:to)? (?:my|his|her) bed|"
    r"met (?:him |her )?online|sits? on (?:his|her) lap)\b"
)
_THREAT = r"\bif i (?:ever )?(?:tell|told|say|said)\b"
_INNOCENT = r"\b(?:surprise|birthday|party|christmas|present for|gift for|card for|cake for)\b"


def beliefs_said(text: str, at: datetime, turn_id: int, *, previous: tuple[int, str] | None = None) -> tuple[Fact, ...]:
    """What `text`, a person's words of turn `turn_id` said at `at`, tells of their mind.

    `previous`: the turn before and the person's words in it, which "that's a secret" may be about. A fact with
    `valid_to` says that it is over. A secret that is worrying gives no fact to keep it.
    """
    found: list[Fact] = []
    for clause in plain_clauses(text, with_thoughts=True):
        found += _thoughts(clause, at, turn_id)
    low = _plain(text)
    if re.search(_NO_LONGER_KEPT, low):
        found.append(_fact("keeps_from", "", at, turn_id, over=True))
    elif not is_worrying_secret(text if previous is None else f"{previous[1]}. {text}"):
        found += _secrets(text, at, turn_id, previous)
    for told in (match for pattern in _TOLD for match in re.finditer(pattern, low)):
        if whom := _listener(told["whom"]):
            found.append(_fact("keeps_from", whom, at, turn_id, over=True))
    if over := re.search(_EVENT_OVER, low):
        found.append(_fact("keeps_from", f": {over['event']}", at, turn_id, over=True))
    return tuple(found)


def secrets_from(facts: Sequence[Fact], listener: str | None) -> tuple[Fact, ...]:
    """The secrets among the current `facts` of one person that must not be said to `listener`, who is not that person.

    `listener` is a kind ("mum") or a name, which facts such as "mum called Sarah" make one; None for somebody unknown,
    from whom every secret is kept.
    """
    secrets = tuple(fact for fact in facts if fact.relation == "keeps_from")
    if listener is None:
        return secrets
    known_as = {fold(listener)}
    for kinds in words.ONE_PERSON:
        if kinds & known_as:
            known_as |= kinds
    for fact in facts:
        kind, name = kind_and_name(fact.object)
        if fact.relation == "people" and name and {kind, name} & known_as:
            known_as |= {kind, name}
    return tuple(fact for fact in secrets if fold(whom_and_what(fact)[0]) in known_as | {"everyone"})


def withheld(items: Sequence[Recalled], facts: Sequence[Fact], listener: str | None) -> tuple[Recalled, ...]:
    """Those of `items`, recalled of one person, that must not be said to `listener`: what was said in the turns of a
    secret, and whatever else tells of what is kept. `facts` and `listener` as in `secrets_from`."""
    secrets = secrets_from(facts, listener)
    turn_ids = {turn_id for secret in secrets for turn_id in secret.turn_ids}
    kept = [words_of for secret in secrets if (words_of := _significant(whom_and_what(secret)[1]))]

    def tells(item: Recalled) -> bool:
        if item.turn is not None and item.turn.turn_id in turn_ids:
            return True
        said = _significant(item.text)
        return any(len(each & said) >= max(1, round(_TOLD_SHARE * len(each))) for each in kept)

    return tuple(item for item in items if tells(item))


def already_told(news: str, turns: Sequence[Turn]) -> Turn | None:
    """The newest of `turns` in which this person said or heard `news`; None if it is news to them.

    Goes by the significant words, of which there must be two: what is not told by words is not told.
    """
    wanted = _significant(news)
    for turn in reversed(turns):
        for text in (turn.user_text, turn.reply_text):
            if len(wanted) >= 2 and len(wanted & _significant(text)) >= _TOLD_SHARE * len(wanted):
                return turn
    return None


def is_worrying_secret(text: str) -> bool:
    """Whether `text` speaks of a secret about harm, or of one that a grown-up imposed and that is no surprise for
    somebody. Cautious: he or she, of unknown age, counts as grown up."""
    low = _plain(text)
    if not re.search(_SECRECY, low):
        return False
    if re.search(_HARM, low) or re.search(_THREAT, low):
        return True
    return re.search(_IMPOSED, low) is not None and re.search(_INNOCENT, low) is None


def _thoughts(clause: Clause, at: datetime, turn_id: int) -> list[Fact]:
    low, today = clause.low, f"{at:%Y-%m-%d}"
    if match := re.fullmatch(_FEELS, low):
        return [_fact("feels", match["what"], at, turn_id, day=today)]
    if match := re.fullmatch(_WANTS, low):
        what = clause.shown[match.start("what") : match.end("what")]
        lasting = re.match(_LASTING, low) or what.lower().split()[-1] in words.PETS
        return [_fact("wants", what, at, turn_id, day=None if lasting else today)] if _is_short(what) else []
    if match := re.fullmatch(_BELIEVES_NO_MORE, low):
        return [_fact("believes", clause.shown[match.start("what") : match.end("what")], at, turn_id, over=True)]
    for relation, pattern in (("believes", _BELIEVES), ("knows", _KNOWS)):
        if match := re.fullmatch(pattern, low):
            group = "what" if match["what"] else "that"
            what = clause.shown[match.start(group) : match.end(group)]
            return [_fact(relation, what, at, turn_id)] if _is_short(what) else []
    return []


def _secrets(text: str, at: datetime, turn_id: int, previous: tuple[int, str] | None) -> list[Fact]:
    """The secret that `text` asks to keep: at most one, with what is said beside the asking as its words."""
    low = _plain(text)
    for match in (match for pattern in _SECRETS for match in re.finditer(pattern, low)):
        whom = _listener(match["whom"] or "everyone")
        if whom is None:
            continue
        turn_ids: tuple[int, ...] = (turn_id,)
        what = _trimmed(f"{low[: match.start()]} {low[match.end() :]}")
        if previous is not None and not _significant(what):
            what, turn_ids = _trimmed(_plain(previous[1])), (previous[0], turn_id)
        last_days = [(span.end - timedelta(seconds=1)).date() for span in time_spans(low, at, "future")]
        to_come = [day for day in last_days if day >= at.date()]
        secret = _fact("keeps_from", f"{whom}: {what}" if what else whom, at, turn_id)
        return [replace(secret, turn_ids=turn_ids, day=max(to_come).isoformat() if to_come else None)]
    return []


def _listener(whom: str) -> str | None:
    """From whom it is kept, or None if these words name nobody."""
    if whom in _NO_LISTENER or (whom in words.NOT_NAMES and whom not in words.KIN | _EVERYONE):
        return None
    if whom in _EVERYONE:
        return "everyone"
    return words.SAME_KIND.get(whom, whom)


def _fact(relation: str, thing: str, at: datetime, turn_id: int, *, day: str | None = None, over: bool = False) -> Fact:
    at_s = at.timestamp()
    return Fact(
        subject=SPEAKER,
        relation=relation,
        object=thing,
        day=day,
        valid_from=None if over else at_s,
        valid_to=at_s if over else None,
        recorded_from=at_s,
        turn_ids=(turn_id,),
    )


def _is_short(thought: str) -> bool:
    """Whether it can stand by itself: a few words that do not point at the speaker or the listener."""
    tokens = thought.lower().split()
    return len(tokens) <= _MAX_WORDS and not {"you", "your", "i", "i'm", "it", "this", "so"} & set(tokens)


def _trimmed(text: str) -> str:
    tokens = re.sub(r"^(?:and|but|so|because|please|shh+|ok|okay)\b", "", text.strip(" .,!?;:")).split()
    return " ".join(tokens[:_MAX_WORDS]).strip(" .,!?;:")


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("\u2019", "'").split())


def _significant(text: str) -> frozenset[str]:
    """The words that carry the meaning, singular and plural alike."""
    shown = (word.shown.lower() for word in query_words(text))
    return frozenset(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in shown)
