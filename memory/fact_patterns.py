"""The patterns of the rules in `memory.fact_rules`: how people say what is a fact, in English. Data only.

Each is a regular expression for a whole clause in lower case, with the name of the rule that looks at its groups.
`who` and `kind` stand for the subject; `name` is a name if the rule finds it to be one. The first that fits and whose
rule finds something wins, so what is more special stands above.
"""

from memory import fact_words as words

NUMBER = rf"(?:\d{{1,3}}|{'|'.join(words.NUMBERS)})"
_NOUNS = "|".join(sorted(words.KIN | words.PETS | words.TOYS, key=len, reverse=True))
_PERSONS = "|".join(sorted(words.KIN | words.PETS, key=len, reverse=True))
_QUALITIES = "|".join(sorted(words.KIND_QUALITIES))
KIND = rf"(?:(?:{_QUALITIES}) )*(?:{_NOUNS})"
_WHO = rf"(?:(?:my|our) (?P<kind>(?:(?:{_QUALITIES}) )*(?:{_PERSONS}))|(?P<who>[^ ]+))"
_I_AM = "(?:i'm|i am)"
_WE = "(?:i|we)"
_DO_NOT = "(?:don't|do not|no longer)"
_NO_MORE = "(?: any ?more| any longer)"
PLANNED = (
    r"(?:(?:(?:i|we) (?:have|have got|get|go|visit|fly|drive|meet|start|leave|travel|move|play|swim|celebrate)"
    r"|(?:i|we)'ve got) (?!to say|been|seen|had|no |not )"
    r"|(?:i'm|i am|we're|we are) (?:going|gonna|getting|having|visiting|seeing|meeting|flying|driving|leaving|moving|"
    r"starting|playing|travell?ing|making|baking|celebrating|sleeping over) "
    r"|(?:i'll|we'll|i will|we will) (?!be (?:fine|ok|okay|right|there|back)\b|see\b|never|not )"
    r"|my (?:\w+ ){1,2}(?:is|are) (?:coming|visiting|leaving|going)\b|my (?:\w+ ){1,2}(?:comes|visits)\b)"
    r"(?!.*\b(?:it|him|her|them|this|that|you|these|those|show|but|not)\b).*"
)
PATTERNS: tuple[tuple[str, str], ...] = (
    (
        (
            r"(?:my (?:first |real )?name(?: is|'s)(?: actually)?|i'm called|i am called|(?P<hello>i'm|i am)|"
            r"(?:they|people|everyone|everybody|my friends) calls? me|(?:you can |please )?call me)"
            r" (?P<name>[^ ]+(?: [^ ]+)??)(?:(?: and)? not (?P<wrong>[^ ]+))?"
        ),
        "own_name",
    ),
    (
        (
            rf"(?:{_I_AM}|i just turned|i turned(?=.* (?:today|yesterday)$))(?: (?:now|already|only|just))* "
            rf"(?P<n>{NUMBER})"
            r"(?: and a half)?(?P<years> years? old)?(?: (?P<day>today|yesterday))?"
        ),
        "own_age",
    ),
    (
        (
            rf"(?:i'll be|i will be|i turn|i'm turning|i am turning|i'm going to be|i become|i'm gonna be) "
            rf"(?P<n>{NUMBER})"
            r"(?: years old)? (?P<time>.+?)"
        ),
        "turns_age",
    ),
    (rf"{_WHO}(?: is|'s) (?P<n>{NUMBER})(?: and a half)?(?P<years> years? old)?", "their_age"),
    (r"my birthday(?: is|'s| was) (?P<time>.+?)", "own_birthday"),
    (r"(?:it's|it is|it was) my birthday (?P<time>.+?)|(?P<time2>.+) (?:is|was) my birthday", "own_birthday"),
    (r"i was born (?P<time>on .+)", "own_birthday"),
    (rf"(?:(?:it's|it is) )?{_WHO}'s birthday(?: is| was)? (?P<time>.+?)", "their_birthday"),
    (
        (
            rf"(?:my|our) (?P<kind>{KIND})(?:(?:'s name)(?: is|'s)|(?: is|'s) (?:called|named))"
            r" (?P<name>[^ ]+(?: [^ ]+)??)(?:(?: and)? not (?P<wrong>[^ ]+))?"
        ),
        "named",
    ),
    (
        (
            rf"(?:my|our) (?P<kind>{KIND}) (?:called |named )?(?P<name>[^ ]+) (?:is|has|likes|loves|hates|wants|went|"
            r"came|got|lives|plays|was|can|doesn't|does)\b.*(?P<wrong>)"
        ),
        "introduced",
    ),
    (rf"{_WE}(?: have|'ve got| have got| got| just got) (?P<items>.+?)", "has"),
    (rf"{_WE} (?:don't|do not) have (?:a|an|any|the|my|our) (?P<kind>{KIND}){_NO_MORE}", "has_no_more"),
    (rf"(?P<name>[^ ]+) is my (?P<kind>{KIND})", "is_mine"),
    (rf"(?:this is|here is|here's|that's|that is) my (?P<kind>{KIND}) (?P<name>[^ ]+)", "is_mine"),
    (rf"{_WE} (?:used to) (?:like|love) (?P<thing>.+?)", "used_to_like"),
    (rf"{_WE} {words.ADVERBS}(?:like|love|adore|enjoy) (?P<thing>.+?)", "likes"),
    (
        rf"{_WE} {words.ADVERBS}{_DO_NOT} {words.ADVERBS}(?:like|love|enjoy) (?P<thing>.+?){_NO_MORE}?",
        "dislikes",
    ),
    (rf"{_WE} {words.ADVERBS}(?:hate|can't stand|dislike) (?P<thing>.+?)", "dislikes"),
    (rf"{_WHO} {words.ADVERBS}(?:likes|loves) (?P<thing>.+?)", "likes"),
    (rf"{_WHO} {words.ADVERBS}(?:doesn't like|does not like|hates) (?P<thing>.+?)", "dislikes"),
    (r"my (?:most )?(?:favou?rite|fave) (?P<topic>[^ ]+(?: [^ ]+)?)(?: is|'s) (?P<thing>.+?)", "favourite"),
    (r"(?P<thing>.+?) (?:is|are) my (?:most )?(?:favou?rite|fave) (?P<topic>[^ ]+(?: [^ ]+)?)", "favourite"),
    (rf"{_I_AM} {words.ADVERBS}{words.FEARED} of (?P<thing>.+?)", "fears"),
    (rf"{_I_AM} (?:not|no longer) {words.ADVERBS}{words.FEARED} of (?P<thing>.+?){_NO_MORE}?", "fears_no_more"),
    (rf"(?P<thing>[^ ]+(?: [^ ]+){{0,2}}?) {words.ADVERBS}(?:scare|scares|frighten|frightens) me", "fears"),
    (rf"{_WHO} is {words.ADVERBS}{words.FEARED} of (?P<thing>.+?)", "fears"),
    (rf"{_WE} (?:live in|moved to|just moved to) (?P<place>.+?)(?: with (?:my|our) .+)?", "lives_in"),
    (
        (
            r"i go to (?:(?P<early>kindergarten|preschool|nursery|nursery school|daycare)|(?P<school>.+ school))"
            r"|my school(?: is|'s) (?:called|named) (?P<name>.+)"
        ),
        "school",
    ),
    (
        (
            rf"{_I_AM} in (?:the )?(?P<grade>(?:{'|'.join(words.ORDINALS)}|\d+(?:st|nd|rd|th)) (?:grade|class|year)"
            rf"|(?:year|grade|class) {NUMBER})"
        ),
        "grade",
    ),
    (rf"{_I_AM} {words.ADVERBS}allergic to (?P<thing>.+?)", "allergic"),
    (r"i have an? (?P<thing>[^ ]+) allergy", "allergic"),
    (rf"{_WHO} is {words.ADVERBS}allergic to (?P<thing>.+?)", "allergic"),
    (r"i (?:can )?play (?P<things>.+?)", "plays"),
    (
        (
            rf"(?:my|our) (?P<kind>{KIND})(?: (?P<name>[^ ]+))? (?:died|passed away|is dead|has died)"
            r"(?: (?:yesterday|today|last .+|.+ ago|in .+|on .+))?"
        ),
        "died",
    ),
    (r".+", "plan"),
)
