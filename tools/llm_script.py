"""What a child says in sixty turns, and what the companion remembers meanwhile: the benchmark's script."""

from tools.bench_turn import WRITTEN

LINES = (
    *WRITTEN[:-1],
    "I had a funny dream.",
    "There was a whale in our kitchen.",
    "It wanted pancakes with honey.",
    "What would you cook for a whale?",
    "My mum says whales sing.",
    "Can you hear them from here?",
    "I lost my blue glove.",
    "Maybe the cat took it.",
    "Our cat sleeps in a box.",
    "Do robots sleep in boxes too?",
    "I built a tower of eleven stones.",
    "It fell down with a big noise.",
    "Shall we build a bridge?",
    "What is a bridge for?",
    "My friend Tom lives over the river.",
    "He has a telescope.",
    "We saw the rings of Saturn.",
    "Why does Saturn have rings?",
    "Do you want to fly there with me?",
    "We must take warm socks.",
    "And something to eat on the way.",
    "How long does it take?",
    "Then we should start early.",
    "I will bring my lamp.",
    "Can you keep a secret?",
    "I hid a shell under my pillow.",
    "You can hear the sea in it.",
    "My sister does not know.",
    "Did you like today?",
    "I did, most of all the story.",
    "Good night, little one.",
)
"""Sixty things to say, one after another."""

MEMORIES = (
    'Earlier I told you: "My dog is called Rex."',
    'Earlier I told you: "I am six years old."\nEarlier I told you: "My brother can dive."',
    'Earlier I told you: "My tooth is wobbly."',
)
"""What recall puts before the newest words of some turns."""

MEMORIES_EVERY = 4
"""Turns with something recalled: one in four."""


def line(turn: int) -> str:
    """What is said in a turn, counted from 0; after sixty it begins anew."""
    return LINES[turn % len(LINES)]


def memories(turn: int) -> str:
    """What is recalled in a turn; mostly nothing."""
    number, rest = divmod(turn, MEMORIES_EVERY)
    return MEMORIES[number % len(MEMORIES)] if rest == MEMORIES_EVERY - 1 else ""
