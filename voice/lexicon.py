"""What a language needs so that its text is cut and read well: abbreviations, units, currencies, symbols.

Data only, used by `voice.borders` (where a sentence ends) and `voice.speakable` (what is said for what is written).
Each entry exists because synthesizers read it badly: espeak-ng, which is also Piper's ear for text, says "kay em slash
aitch" for km/h and "dollar five" for $5. Plain numbers, dates and most signs it reads well, and they are left to it.
A language without an entry gets no substitutions at all.
"""

# ruff: noqa: RUF001  characters that resemble others are the subject here

from collections.abc import Mapping
from dataclasses import dataclass, field


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """One language. Keys of `units` are case-sensitive as written; pairs are (for one, for many)."""

    abbreviations: frozenset[str] = frozenset({"dr", "mr", "mrs", "ms", "prof", "st"})
    """Casefolded, without the last full stop, which never ends a sentence after them."""

    numbered: frozenset[str] = frozenset({"no", "nr", "p", "pp", "vol", "fig", "art"})
    """Abbreviations only before a number ("No. 5"): elsewhere they are words that may end a sentence."""

    ordinal_dot: bool = False
    """A full stop after a small number makes an ordinal ("am 3. Mai")."""

    one_letter_words: frozenset[str] = frozenset()
    """Capitals that are words and so may end a sentence; any other single letter with a full stop is an initial."""

    question_mark: str = ""
    """A character that ends a question here and is a pause elsewhere (the Greek ;)."""

    dot: str = ""
    """The full stop inside an internet address; without it addresses are left to the synthesizer."""

    at: str = ""
    """The @ of an e-mail address."""

    symbols: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    currencies: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    magnitudes: frozenset[str] = frozenset()
    """Words that stand between an amount and its currency ("$5 million"): such amounts are left as written."""

    to: str = ""
    """The dash of a range of numbers."""

    number: str = ""
    """The # before a number."""

    about: str = ""
    """The ~ before a number."""


_ENGLISH = Lexicon(
    abbreviations=_words(
        "dr mr mrs ms prof st sr jr rev gen col capt lt sgt hon mt ft messrs e.g i.e eg ie etc vs cf approx al inc ltd "
        "co corp dept est jan feb mar apr jun jul aug sept sep oct nov dec"
    ),
    numbered=_words("no nr p pp vol fig ch art sec op"),
    one_letter_words=frozenset("I"),
    dot="dot",
    at="at",
    symbols={
        "&": "and",
        "%": "percent",
        "+": "plus",
        "=": "equals",
        "×": "times",
        "÷": "divided by",
        "±": "plus or minus",
        "≈": "about",
        "<": "less than",
        ">": "greater than",
        "≤": "at most",
        "≥": "at least",
        "@": "at",
        "°": "degrees",
        "℃": "degrees Celsius",
        "℉": "degrees Fahrenheit",
    },
    units={
        "°C": ("degree Celsius", "degrees Celsius"),
        "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "km/h": ("kilometer per hour", "kilometers per hour"),
        "kph": ("kilometer per hour", "kilometers per hour"),
        "m/s": ("meter per second", "meters per second"),
        "mph": ("mile per hour", "miles per hour"),
        "km": ("kilometer", "kilometers"),
        "cm": ("centimeter", "centimeters"),
        "mm": ("millimeter", "millimeters"),
        "m²": ("square meter", "square meters"),
        "kg": ("kilogram", "kilograms"),
        "mg": ("milligram", "milligrams"),
        "lb": ("pound", "pounds"),
        "lbs": ("pound", "pounds"),
        "oz": ("ounce", "ounces"),
        "ml": ("milliliter", "milliliters"),
        "Hz": ("hertz", "hertz"),
        "kHz": ("kilohertz", "kilohertz"),
        "MHz": ("megahertz", "megahertz"),
        "GHz": ("gigahertz", "gigahertz"),
        "kWh": ("kilowatt hour", "kilowatt hours"),
        "kB": ("kilobyte", "kilobytes"),
        "MB": ("megabyte", "megabytes"),
        "GB": ("gigabyte", "gigabytes"),
        "TB": ("terabyte", "terabytes"),
    },
    currencies={
        "€": ("euro", "euros"),
        "$": ("dollar", "dollars"),
        "£": ("pound", "pounds"),
        "¥": ("yen", "yen"),
        "₹": ("rupee", "rupees"),
        "₽": ("ruble", "rubles"),
    },
    magnitudes=_words("thousand million billion trillion"),
    to="to",
    number="number",
    about="about",
)

_GERMAN = Lexicon(
    abbreviations=_words(
        "dr hr fr frl prof st z.b d.h u.a usw bzw ca vgl evtl ggf inkl zzgl bspw sog geb str tel mio mrd jh "
        "jan feb apr aug sept okt nov dez"
    ),
    numbered=_words("nr s bd kap abb art"),
    ordinal_dot=True,
    dot="Punkt",
    at="ät",
    symbols={"℃": "Grad Celsius", "℉": "Grad Fahrenheit", "÷": "geteilt durch", "≈": "etwa"},
    units={
        "°C": ("Grad Celsius", "Grad Celsius"),
        "km/h": ("Kilometer pro Stunde", "Kilometer pro Stunde"),
        "m/s": ("Meter pro Sekunde", "Meter pro Sekunde"),
        "km": ("Kilometer", "Kilometer"),
        "cm": ("Zentimeter", "Zentimeter"),
        "mm": ("Millimeter", "Millimeter"),
        "m²": ("Quadratmeter", "Quadratmeter"),
        "kg": ("Kilogramm", "Kilogramm"),
        "ml": ("Milliliter", "Milliliter"),
        "kWh": ("Kilowattstunde", "Kilowattstunden"),
        "GB": ("Gigabyte", "Gigabyte"),
    },
    currencies={"€": ("Euro", "Euro"), "$": ("Dollar", "Dollar"), "£": ("Pfund", "Pfund")},
    magnitudes=_words("tausend million millionen milliarde milliarden mio mrd"),
    to="bis",
    number="Nummer",
    about="etwa",
)

_LEXICONS: Mapping[str, Lexicon] = {
    "en": _ENGLISH,
    "de": _GERMAN,
    "fr": Lexicon(
        abbreviations=_words("m mm mme mlle dr pr st ste etc av env p.ex c.-à-d cf vol"),
        numbered=_words("no p pp fig art"),
        dot="point",
        at="arobase",
    ),
    "es": Lexicon(
        abbreviations=_words("sr sra srta dr dra d dña ud uds etc p.ej prof avda pág núm aprox"),
        numbered=_words("no núm p pág art"),
        dot="punto",
        at="arroba",
    ),
    "it": Lexicon(
        abbreviations=_words("sig sig.ra dott dott.ssa prof ing avv ecc es pag"),
        dot="punto",
        at="chiocciola",
    ),
    "pt": Lexicon(abbreviations=_words("sr sra dr dra prof profa etc p.ex av pág aprox"), dot="ponto", at="arroba"),
    "nl": Lexicon(
        abbreviations=_words("dhr mevr mw dr drs prof ing enz bijv bv o.a d.w.z ca evt"),
        dot="punt",
        at="apenstaartje",
    ),
    "el": Lexicon(abbreviations=_words("κ κα δρ π.χ κ.λπ κ.ά δηλ"), question_mark=";"),
    "ru": Lexicon(abbreviations=_words("г гг ул д стр т.е т.д т.п т.к напр др руб тыс")),
    "pl": Lexicon(abbreviations=_words("p dr prof np tzn tzw itd itp ul ok"), ordinal_dot=True),
    "cs": Lexicon(abbreviations=_words("p dr prof např tzn tj atd apod ul"), ordinal_dot=True),
    "da": Lexicon(abbreviations=_words("dr hr fru f.eks bl.a osv ca"), ordinal_dot=True),
    "nb": Lexicon(abbreviations=_words("dr hr fru f.eks bl.a osv ca"), ordinal_dot=True),
    "fi": Lexicon(abbreviations=_words("esim mm jne ym ks tri prof"), ordinal_dot=True),
    "hu": Lexicon(abbreviations=_words("dr pl stb kb ill ún"), ordinal_dot=True),
}
_UNKNOWN = Lexicon()


def lexicon_for(language: str) -> Lexicon:
    """The lexicon of a language tag ("en", "en-GB", "de_AT"); an empty one for a language not listed."""
    return _LEXICONS.get(language.replace("_", "-").partition("-")[0].lower(), _UNKNOWN)
