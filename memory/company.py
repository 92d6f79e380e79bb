"""Who else is said to be listening: "Mum is here", "this is daddy", "say hi to grandma", and that they are gone again.

Pure. What must then not be said is for `memory.beliefs`. The rules are English; in other languages nobody is noticed,
and nothing is withheld.
"""

import re

from memory.fact_words import KIN, SAME_KIND

_PEOPLE = "|".join(sorted(KIN, key=len, reverse=True))
_WHO = rf"(?P<who>{_PEOPLE})\b(?!'s)"
_CLAUSE_END = r"(?= ?(?:[.,!?;:]|$)| (?:and|but|so)\b)"
"""Mum is back, but not "back in Berlin"; dad is in, but not "in hospital"."""
_HERE = (
    rf"\b(?:this is|i'm|i am|it's me,?) (?:(?:your|her|his|the|\w+'s) )?{_WHO}",
    (
        rf"\b{_WHO} (?:is|just came) "
        r"(?:(?:here|home|listening|in the room|with (?:me|us)|right here|beside (?:me|us))\b"
        rf"|(?:back|in)(?: now| again)?{_CLAUSE_END})"
    ),
    rf"\bsay (?:hello|hi|good (?:night|morning)|bye) to (?:my |our )?{_WHO}",
)
_NOT_HERE = rf"\b(?:{_PEOPLE}) (?:is not|isn't) "
_GONE = (
    (
        rf"\b(?:{_PEOPLE}) "
        r"(?:is gone|is away|has gone|has left|went (?:away|out|home|to (?:work|bed|sleep|the shops?))|left)\b"
    ),
    r"\b(?:we're|we are|i'm|i am) (?:all )?alone (?:now|again)\b",
    r"\b(?:nobody|no one) (?:else )?is (?:here|listening)\b",
)


def who_came(text: str) -> str | None:
    """Whom these words tell to be here beside the person, as a kind such as "mum"; None for nobody."""
    low = _low(text)
    if re.search(_NOT_HERE, low):
        return None
    found = next((match for pattern in _HERE if (match := re.search(pattern, low))), None)
    return SAME_KIND.get(found["who"], found["who"]) if found else None


def are_alone(text: str) -> bool:
    """Whether these words tell that nobody else is here any more."""
    low = _low(text)
    return any(re.search(pattern, low) for pattern in _GONE)


def _low(text: str) -> str:
    return " ".join(text.casefold().replace("\u2019", "'").split())
