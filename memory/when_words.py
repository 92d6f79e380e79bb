"""The words of time expressions, language by language: data for `memory.when`.

A rule is a kind, whose meaning is a function of `memory.when_spans`, and a pattern of lower-case text in which
`{month}` and the like stand for any word of that vocabulary, caught under its name. English is covered well; of German
and Chinese what is said most: days, weekdays, dates, years, seasons and counted units.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LONG_AGO = 100_000
"""As many days ago as reach beyond the beginning of time as `memory.when_spans` has it."""

Words = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How one language speaks of time; all words in lower case.

    `number`: the least and the most that is meant. `ordinal`: 1 to 31, -1 for the last. `unit`: keys of
    `memory.when_spans.UNIT_DAYS`. `step`: -1 last, 0 this, 1 next. `days`: days from today. `part`: hours from and to,
    counted from the midnight before. `dayparts`: days from today, then hours. `vague`: days from today where it begins
    and where it ends. `past`, `future` and `present` are patterns of words that tell the tense.
    """

    number: Mapping[str, tuple[int, int]]
    ordinal: Words = field(default_factory=dict)
    unit: Mapping[str, str]
    weekday: Words
    month: Words
    season: Mapping[str, str]
    holiday: Mapping[str, str] = field(default_factory=dict)
    step: Words
    days: Words
    part: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    dayparts: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    vague: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    past: str
    future: str
    present: str
    rules: tuple[tuple[str, str], ...]
    spaced: bool = True
    """Whether words are set apart by spaces."""


def _counted(words: str, first: int = 1) -> dict[str, int]:
    return {word: n for n, word in enumerate(words.split(), first)}


def _exact(words: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    return {word: (n, n) for word, n in words.items()}


def _each(value: int, words: str) -> dict[str, int]:
    return dict.fromkeys(words.split(), value)


def _phrases(phrases: Iterable[str], span: tuple[int, int]) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(phrases, span)


_FIRST_TEN = "first second third fourth fifth sixth seventh eighth ninth tenth"
_ORDINALS = _counted(
    f"{_FIRST_TEN} eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_TENS = {"twenty": 20, "thirty": 30}
_FULL_WEEKDAY = r"(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_OF_YEAR = rf"(?:,? (?:of )?{_YEAR})?"
_DAY = r"(?P<day>[0-3]?\d)"
_LEAD = r"(?:(?:the )?(?:(?P<gap>day|week|weekend|month|year) )?(?P<lead>before|after)|(?P<bound>since|until|till|by))"
_LEAD_OR_IN = rf"(?:in|during|of|over|around|for|at|on|{_LEAD})(?: the)?"
_THIRD = r"(?:(?P<third>early|mid|late)[ -](?:in )?)?"

ENGLISH = Language(
    number={
        **_exact(_counted("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen")),
        **_exact({"a": 1, "an": 1, "twenty": 20, "thirty": 30, "fifty": 50, "a hundred": 100}),
        **_phrases(("a couple of", "a couple", "couple of", "couple"), (2, 3)),
        **_phrases(("a few", "few"), (2, 6)),
        "several": (3, 8),
        "some": (2, 8),
        "many": (5, 30),
    },
    ordinal={
        **_ORDINALS,
        **_TENS,
        "twentieth": 20,
        "thirtieth": 30,
        "thirty first": 31,
        "thirty-first": 31,
        **{f"twenty{join}{word}": 20 + n for word, n in _counted(_FIRST_TEN).items() if n < 10 for join in " -"},
        "last": -1,
    },
    unit={
        f"{unit}{end}": unit
        for unit in ["minute", "hour", "day", "weekend", "week", "month", "year"]
        for end in ("", "s")
    },
    weekday={
        **_counted("monday tuesday wednesday thursday friday saturday sunday", 0),
        **_counted("mon tue wed thu fri sat sun", 0),
        "tues": 1,
        "weds": 2,
        "thur": 3,
        "thurs": 3,
    },
    month={
        **_counted("january february march april may june july august september october november december"),
        **_counted("jan feb mar apr may jun jul aug sep oct nov dec"),
        "sept": 9,
    },
    season={"spring": "spring", "summer": "summer", "autumn": "autumn", "fall": "autumn", "winter": "winter"},
    holiday={
        "christmas": "christmas",
        "xmas": "christmas",
        "christmas eve": "christmas eve",
        "christmas day": "christmas day",
        "new year's eve": "new year's eve",
        "new years eve": "new year's eve",
        "new year": "new year",
        "new year's": "new year",
        "new years": "new year",
        "new year's day": "new year",
        "valentine's day": "valentine's day",
        "valentines day": "valentine's day",
        "easter": "easter",
        "halloween": "halloween",
        "thanksgiving": "thanksgiving",
    },
    step={"last": -1, "previous": -1, "this past": -1, "this": 0, "this coming": 1, "coming": 1, "next": 1},
    days={"today": 0, "yesterday": -1, "tomorrow": 1, "day before yesterday": -2, "day after tomorrow": 2},
    part={"morning": (5, 12), "afternoon": (12, 18), "evening": (17, 24), "night": (18, 30)},
    dayparts={
        "last night": (-1, 18, 30),
        "tonight": (0, 18, 30),
        "this morning": (0, 5, 12),
        "this afternoon": (0, 12, 18),
        "this evening": (0, 17, 24),
    },
    vague={
        **_phrases(("the other day", "the other night"), (-14, 0)),
        **_phrases(("recently", "lately", "these days"), (-30, 1)),
        **_phrases(("a while ago", "some time ago", "a while back"), (-365, -13)),
        **_phrases(("a long time ago", "long ago", "long time ago", "ages ago", "once upon a time"), (-LONG_AGO, -365)),
        **_phrases(("days ago",), (-10, -1)),
        **_phrases(("weeks ago",), (-63, -10)),
        **_phrases(("months ago",), (-365, -30)),
        **_phrases(("years ago",), (-LONG_AGO, -548)),
        "soon": (0, 30),
    },
    past=r"\b(?:did|didn't|was|were|wasn't|weren't|had|been|done|went|gone|saw|got|made|said|told|came|took|ate|gave|"
    r"found|lost|won|ran|swam|met|fell|broke|drew|bought|left|ago|last|yesterday|remember|"
    r"(?!scared|excited|tired|bored|called|named|worried|allowed|supposed|married|need|indeed|speed)\w{2,}ed)\b",
    future=r"\b(?:will|won't|\w+'ll|going to|gonna|tomorrow|next|soon|plan|plans)\b",
    present=r"\b(?:is|are|am|\w+'re|\w+'s|i'm|have|has|get|can|turn|turns|go|goes|come|comes)\b",
    rules=(
        ("day", rf"(?:{_LEAD} )?(?:the )?{{days}}(?: {{part}})?"),
        ("daypart", "{dayparts}"),
        ("unit", rf"(?:{_LEAD} )?{_THIRD}{{step}} {{unit}}"),
        ("unit", r"the {unit} (?P<twice>before last|after next)"),
        ("weekend", "(?:at|on|over|for|during) the weekend"),
        ("ago", "(?:(?:about|around|almost|like) )?{number} {unit} (?:ago|back|earlier)"),
        ("ahead", "(?:in|within) (?:about |like )?{number} {unit}"),
        ("ahead", "{number} {unit} from (?:now|today)"),
        ("past", "(?:the|these) (?:last|past)(?: {number})? {unit}"),
        ("past", "last {number} {unit}"),
        ("weekday", rf"(?:(?:on|{_LEAD}) )?{_FULL_WEEKDAY}(?: {{part}})?"),
        ("weekday", rf"(?:(?:on|{_LEAD}) )?(?:the )?{{step}} {{weekday}}(?: {{part}})?"),
        ("date", rf"(?:(?:on|{_LEAD}) )?(?:the )?{{month}} (?:the )?{_DAY}(?:st|nd|rd|th)?{_OF_YEAR}"),
        ("date", rf"(?:(?:on|{_LEAD}) )?{{month}} (?:the )?{{ordinal}}{_OF_YEAR}"),
        ("date", rf"(?:(?:on|{_LEAD}) )?(?:the )?{_DAY}(?:st|nd|rd|th)? (?:of )?{{month}}{_OF_YEAR}"),
        ("date", rf"(?:(?:on|{_LEAD}) )?(?:the )?{{ordinal}} of {{month}}{_OF_YEAR}"),
        ("date", rf"(?:(?:on|{_LEAD}) )?{_YEAR}-(?P<month_number>[01]\d)-(?P<day>[0-3]\d)"),
        ("date", rf"(?:on|{_LEAD}) the {_DAY}(?:st|nd|rd|th)"),
        ("date", rf"(?:on|{_LEAD}) the {{ordinal}}"),
        ("week_of", "(?:in |during )?the {ordinal} (?P<week>week|weekend) (?:of|in) {month}" + _OF_YEAR),
        ("week_of", rf"(?:in |during )?the week of {{month}} {_DAY}(?:st|nd|rd|th)?{_OF_YEAR}"),
        ("month", rf"{_LEAD_OR_IN} {_THIRD}{{month}}{_OF_YEAR}"),
        ("month", rf"(?:(?:in|of|during|{_LEAD}) )?{_THIRD}{{month}},? {_YEAR}"),
        ("month", rf"(?P<third>early|mid|late)[ -]{{month}}{_OF_YEAR}"),
        ("month", rf"(?:{_LEAD} )?{{step}} {{month}}"),
        ("year", rf"(?:in|during|of|from|around|year|{_LEAD}) {_THIRD}{_YEAR}"),
        ("year", rf"{_YEAR}(?=\s*(?:[?.!,;)]|$))"),
        ("season", rf"{_LEAD_OR_IN} {{season}}{_OF_YEAR}"),
        ("season", rf"{{season}},? (?:of )?{_YEAR}"),
        ("season", rf"(?:{_LEAD} )?{{step}} {{season}}"),
        ("holiday", rf"{_LEAD_OR_IN} {{holiday}}{_OF_YEAR}"),
        ("holiday", rf"{{holiday}},? {_YEAR}"),
        ("holiday", rf"(?:{_LEAD} )?{{step}} {{holiday}}"),
        ("vague", "{vague}"),
        (
            "childhood",
            (
                r"when i was (?:only |just |still )?(?:(?:very|so|really|a lot|much) )?"
                r"(?:little|small|smaller|tiny|young|younger|(?:a|in) (?:little |small |tiny )?(?:baby|kid|child|boy|"
                r"girl|toddler|kindergarten|preschool|daycare)|{number}(?: years old)?|\d\d?(?: years old)?)"
            ),
        ),
        ("childhood", r"(?:as a|in my) (?:little )?(?:baby|kid|child|boy|girl|childhood)"),
    ),
)

GERMAN = Language(
    number={
        **_exact(_counted("ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf")),
        **_exact({"eine": 1, "einem": 1, "einer": 1, "einen": 1, "zwanzig": 20}),
        **_phrases(("ein paar", "einigen", "wenigen"), (2, 6)),
    },
    unit={
        **dict.fromkeys(("minute", "minuten"), "minute"),
        **dict.fromkeys(("stunde", "stunden"), "hour"),
        **dict.fromkeys(("tag", "tage", "tagen"), "day"),
        **dict.fromkeys(("woche", "wochen"), "week"),
        **dict.fromkeys(("wochenende", "wochenenden"), "weekend"),
        **dict.fromkeys(("monat", "monate", "monaten"), "month"),
        **dict.fromkeys(("jahr", "jahre", "jahren"), "year"),
    },
    weekday={**_counted("montag dienstag mittwoch donnerstag freitag samstag sonntag", 0), "sonnabend": 5},
    month={
        **_counted("januar februar märz april mai juni juli august september oktober november dezember"),
        "jänner": 1,
    },
    season={
        "frühling": "spring",
        "frühjahr": "spring",
        "sommer": "summer",
        "herbst": "autumn",
        "winter": "winter",
    },
    holiday={
        "weihnachten": "christmas",
        "heiligabend": "christmas eve",
        "ostern": "easter",
        "silvester": "new year's eve",
    },
    step={
        **_each(-1, "letzte letzten letzter letztes vorige vorigen voriges vergangene vergangenen vergangenes"),
        **_each(0, "diese diesen dieser dieses"),
        **_each(1, "nächste nächsten nächster nächstes kommende kommenden kommendes"),
    },
    days={"heute": 0, "gestern": -1, "vorgestern": -2, "morgen": 1, "übermorgen": 2},
    part={"früh": (5, 12), "morgen": (5, 12), "vormittag": (8, 12), "nachmittag": (12, 18), "abend": (17, 24)},
    vague={"neulich": (-14, 0), "kürzlich": (-30, 1), "vor langer zeit": (-LONG_AGO, -365), "bald": (0, 30)},
    past=r"\b(?:war|waren|hatte|hatten|ging|weißt|letzte[nrs]?|gestern|ge(?!h)\w+t|ge(?!hen)\w+en)\b",
    future=r"\b(?:werde|wird|werden|nächste[nrs]?|morgen)\b",
    present=r"\b(?:ist|gehen|gehe|geht|fahren|fahre|kommt|kommen)\b",
    rules=(
        ("day", "{days}(?: {part})?"),
        ("unit", "(?:in der |im )?{step} {unit}"),
        ("weekend", "am wochenende"),
        ("ago", "vor {number} {unit}"),
        ("ahead", "in {number} {unit}"),
        ("weekday", "am {weekday}(?: {part})?"),
        ("weekday", "(?:am )?{step} {weekday}(?: {part})?"),
        ("date", rf"(?:am )?{_DAY}\. {{month}}(?: {_YEAR})?"),
        ("month", rf"im {{month}}(?: {_YEAR})?"),
        ("month", "(?:im )?{step} {month}"),
        ("season", rf"im {{season}}(?: {_YEAR})?"),
        ("season", "(?:im )?{step} {season}"),
        ("holiday", rf"(?:an|zu) {{holiday}}(?: {_YEAR})?"),
        ("holiday", "{step} {holiday}"),
        ("year", rf"im jahr(?:e)? {_YEAR}"),
        ("vague", "{vague}"),
        ("childhood", "als ich (?:noch )?(?:klein|ein baby|ein kind|{number}) war"),
    ),
)

_HAN_DIGITS = "一 二 三 四 五 六 七 八 九 十 十一 十二"
_HAN_WEEKDAYS = {**_counted("一 二 三 四 五 六 日", 0), "天": 6}
_HAN_YEAR = r"(?P<year>(?:19|20)\d\d)年"

CHINESE = Language(
    spaced=False,
    number={**_exact(_counted(_HAN_DIGITS)), "两": (2, 2), "几": (2, 6)},
    unit={
        **dict.fromkeys(("天", "日"), "day"),
        **dict.fromkeys(("周", "星期", "个星期", "礼拜", "个礼拜"), "week"),
        "周末": "weekend",
        "个周末": "weekend",
        "月": "month",
        "个月": "month",
        "年": "year",
        "小时": "hour",
        "个小时": "hour",
        "分钟": "minute",
    },
    weekday={f"{week}{day}": n for week in ("周", "星期", "礼拜") for day, n in _HAN_WEEKDAYS.items()},
    month={
        **{f"{word}月": n for word, n in _counted(_HAN_DIGITS).items()},
        **{f"{n}月": n for n in range(1, 13)},
    },
    season={"春天": "spring", "夏天": "summer", "秋天": "autumn", "冬天": "winter"},
    step={"上": -1, "上个": -1, "这": 0, "这个": 0, "本": 0, "下": 1, "下个": 1, "去": -1, "今": 0, "明": 1},
    days={"今天": 0, "昨天": -1, "前天": -2, "明天": 1, "后天": 2},
    part={"早上": (5, 12), "上午": (8, 12), "下午": (12, 18), "晚上": (17, 24)},
    dayparts={"昨晚": (-1, 18, 30), "今晚": (0, 18, 30)},
    vague={"最近": (-30, 1), "前几天": (-14, 0), "很久以前": (-LONG_AGO, -365)},
    past="了|过|昨|前|上个|去年|记得",
    future="会|要|将|明|下|打算",
    present="有|去",
    rules=(
        ("day", "{days}{part}?"),
        ("daypart", "{dayparts}"),
        ("unit", "{step}{unit}"),
        ("ago", "{number}{unit}(?:以|之)?前"),
        ("ahead", "{number}{unit}(?:以|之)?后"),
        ("weekday", "{step}?{weekday}"),
        ("date", rf"(?:{_HAN_YEAR})?{{month}}(?P<day>[0-3]?\d)(?:日|号)"),
        ("month", rf"{_HAN_YEAR}{{month}}"),
        ("month", "{month}份?"),
        ("year", _HAN_YEAR),
        ("season", "{step}年{season}"),
        ("vague", "{vague}"),
        ("childhood", "(?:我)?小时候|(?:我)?小的时候"),
    ),
)

LANGUAGES = (ENGLISH, GERMAN, CHINESE)
