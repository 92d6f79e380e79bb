"""Whether words that were dropped leave a trace: random speculation on one engine, none on the other, then compared.

Both hold the same conversation with the same model, one with random weights, in which every token depends on every one
before it. In each run the one is given words that nobody will have said: as words that still come, as a prompt, with a
reply begun or broken off. Then the real words come to both. The reply (greedy), the committed tokens and what llama.cpp
keeps of them, byte for byte, must be equal.
"""

import random
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.character import Character
from models.engine import EngineSettings, LlamaEngine
from models.interrupt import StopSignal
from models.prompt import PromptBuilder
from models.sampling import Sampling
from tools.llm_script import LINES, MEMORIES
from tools.llm_session import BenchModel, LlmSession
from tools.random_gguf import Mix, ModelShape, write_random_gguf

SHAPE = ModelShape(
    name="small",
    arch="llama",
    n_layers=2,
    n_embd=128,
    n_heads=4,
    n_kv_heads=2,
    head_dim=64,
    n_ffn=256,
    n_vocab=1024,
)
"""A model that computes 10,000 tokens a second: a thousand runs take a minute."""

_MIX: Mix = "Q8_0"
"""Its products are the same to the bit however a prompt is cut into batches (x86-64); those of F16 weights are not, and
the last bit of one value in thousands then tells nothing but how it was cut."""

_CONTEXT_TOKENS = 512
_BATCH_TOKENS = 16
"""Small, so that a stop in the middle of a prefill leaves whole batches behind it."""

_REPLY_TOKENS = 8
_MOST_GUESSES = 4
_TEMPLATE = "{% for m in messages %}{{ m['role'][0] + ':' + m['content'] + '\n' }}{% endfor %}a:"
_CHARACTER = Character(name="Nobody", persona="Be kind.")
_WORDS = tuple(word for line in LINES for word in line.split())
_LATEST_STOP_S = 0.005
"""A prompt and a reply take the small model about as long."""

_GREEDY = Sampling(temperature=0.0, repeat_penalty=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakRun:
    """How many runs there were, and in how many each of the three was not equal. `n_dropped` counts what was given to
    the engine and dropped, `n_evictions` the runs in which the oldest turns had to leave, `n_states` those after which
    llama.cpp gave its state."""

    n_runs: int
    n_dropped: int
    n_evictions: int
    n_states: int
    n_other_replies: int
    n_other_tokens: int
    n_other_states: int


def run_leaks(*, runs: int, say: Callable[[str], None], seed: int = 1) -> LeakRun:
    """Run it `runs` times in one conversation, whose oldest turns leave as it grows."""
    say(f"leaks: {runs} turns with dropped words before them, beside an engine that never heard those ...")
    with tempfile.TemporaryDirectory(prefix="familiar-leaks-") as folder:
        path = Path(folder) / "small.gguf"
        write_random_gguf(path, SHAPE, _MIX)
        model = BenchModel(
            path=path,
            character=_CHARACTER,
            settings=EngineSettings(n_ctx=_CONTEXT_TOKENS, n_batch=_BATCH_TOKENS, threads=1),
            sampling=_GREEDY,
            template=_TEMPLATE,
        )
        return compare(model, runs=runs, chance=random.Random(seed))  # noqa: S311  repeatable, not secret


def compare(model: BenchModel, *, runs: int, chance: random.Random) -> LeakRun:
    """The runs with this model."""
    n_dropped = n_evictions = n_states = n_other_replies = n_other_tokens = n_other_states = 0
    with LlamaEngine(model.path, model.settings) as guessing, LlamaEngine(model.path, model.settings) as plain:
        sides = [Side(engine, model) for engine in (guessing, plain)]
        for _ in range(runs):
            words, volatile = _anything(chance), chance.choice(("", "", *MEMORIES))
            n_dropped += sides[0].guess(words, volatile, chance)
            said, said_plainly = (side.turn(words, volatile) for side in sides)
            n_evictions += sides[1].evicted
            n_other_replies += said != said_plainly
            n_other_tokens += guessing.conversation != plain.conversation
            states = guessing.snapshot(), plain.snapshot()
            n_states += None not in states
            n_other_states += states[0] != states[1]
    return LeakRun(
        n_runs=runs,
        n_dropped=n_dropped,
        n_evictions=n_evictions,
        n_states=n_states,
        n_other_replies=n_other_replies,
        n_other_tokens=n_other_tokens,
        n_other_states=n_other_states,
    )


class Side:
    """One of the two conversations. `evicted`: the oldest turns left it in the last turn."""

    def __init__(self, engine: LlamaEngine, model: BenchModel) -> None:
        self.engine = engine
        self.prompts: PromptBuilder = model.builder(engine)
        self.session = LlmSession(engine, self.prompts, model.sampling)
        self.session.settle()
        self.evicted = False

    def turn(self, words: str, volatile: str) -> bytes:
        """The turn as it was really said. Returns the reply."""
        session = self.session
        prompt = session.prompt(words, volatile)
        reply = session.reply(prompt.tokens, n_most=_REPLY_TOKENS)
        session.say(words, reply)
        self.evicted = session.settle() + prompt.n_messages_dropped > 0
        return reply.text.encode()

    def guess(self, words: str, volatile: str, chance: random.Random) -> int:
        """Give the engine some turns that are not said, some of which begin like what will be. Returns how many."""
        n_dropped = 0
        for _ in range(chance.randint(0, _MOST_GUESSES)):
            supposed = chance.choice((_anything(chance), words[: chance.randrange(1, len(words) + 1)]))
            n_dropped += self._drop(supposed, chance.choice((volatile, "", *MEMORIES)), chance)
        return n_dropped

    def _drop(self, words: str, volatile: str, chance: random.Random) -> bool:
        """One turn, as far as speculation may take it. False where that is nowhere, for want of room."""
        history = self.session.history
        prompt = self.prompts.build(history, words, volatile)
        if prompt.n_messages_dropped:
            return False  # it forgets nothing
        match chance.randrange(4):
            case 0:
                self.engine.prefill(self.prompts.build_open(history, words, volatile).tokens)
            case 1:
                self.engine.prefill(prompt.tokens)
            case 2:
                self.session.reply(prompt.tokens, n_most=chance.randint(1, 2 * _REPLY_TOKENS))
            case _:
                stop = StopSignal()
                timer = threading.Timer(chance.uniform(0.0, _LATEST_STOP_S), stop.set)
                timer.start()
                self.session.reply(prompt.tokens, stop_signal=stop)
                timer.join()
        return True


def _anything(chance: random.Random) -> str:
    """Some words out of the script, in any order."""
    return " ".join(chance.choices(_WORDS, k=chance.randint(1, 7)))
