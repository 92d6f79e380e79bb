"""Sixty turns of one conversation in a small context: what each turn computes, here and through the library.

Both sides hear the same words in turn, answer with the same sampling and the same longest reply, and have memories put
before some of the words. Ours keeps its cache up to date while replies are being spoken, and that work is counted with
the turn it was done for. Figures and verdicts are left to `tools.llm_report`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from models.engine import LlamaEngine
from tools.decode_meter import DecodeMeter
from tools.library_chat import LibraryChat, LibraryTurn
from tools.llm_script import line, memories
from tools.llm_session import REPLY_TOKENS, BenchModel, LlmSession

CONTEXT_TOKENS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class OurTurn:
    """One turn of ours.

    `n_new` tokens of its prompt did not stand in the previous turn's prompt and reply, `n_settled` were computed in the
    idle time before it, `n_prefilled` after its words were known. `evicted`: older turns left for it.
    """

    n_new: int
    n_settled: int
    n_prefilled: int
    first_token_s: float
    evicted: bool

    @property
    def computed_ratio(self) -> float:
        """Tokens computed for this turn over tokens new in it."""
        return (self.n_settled + self.n_prefilled) / max(1, self.n_new)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRun:
    """Both sides, turn by turn; `n_ctx` is the context that the model really got."""

    ours: tuple[OurTurn, ...]
    library: tuple[LibraryTurn, ...]
    n_ctx: int


def run_conversation(model: BenchModel, *, turns: int, say: Callable[[str], None]) -> ConversationRun:
    """Hold both conversations. The library's takes most of the time: once the context is full it computes nearly all
    of it in every turn."""
    settings = replace(model.settings, n_ctx=CONTEXT_TOKENS)
    ours: list[OurTurn] = []
    library: list[LibraryTurn] = []
    with DecodeMeter() as meter, LlamaEngine(model.path, settings) as engine:
        prompts = model.builder(engine)
        talk = _OurTalk(LlmSession(engine, prompts, model.sampling), meter)
        with LibraryChat(
            model.path,
            prompts.build([], line(0)).messages[:-1],
            meter,
            n_ctx=engine.n_ctx,
            n_threads=model.threads,
            sampling=model.sampling,
            reply_tokens=REPLY_TOKENS,
        ) as chat:
            chat.warm_up()
            for turn in range(turns):
                if turn % 10 == 0:
                    say(f"conversation: turn {turn + 1} of {turns}, ours and the library's ...")
                ours.append(talk.turn(line(turn), memories(turn)))
                library.append(chat.ask(line(turn), memories(turn)))
        n_ctx = engine.n_ctx
    return ConversationRun(ours=tuple(ours), library=tuple(library), n_ctx=n_ctx)


class _OurTalk:
    """Our side. What was settled after a turn counts for the next one."""

    def __init__(self, session: LlmSession, meter: DecodeMeter) -> None:
        self._session = session
        self._meter = meter
        session.settle()
        self._before: Sequence[int] = session.engine.conversation
        self._n_settled = 0
        self._n_left = 0

    def turn(self, words: str, volatile: str) -> OurTurn:
        session, meter = self._session, self._meter
        prompt = session.prompt(words, volatile)
        n_started = meter.n_tokens
        reply = session.reply(prompt.tokens)
        n_replied = len(session.engine.draft) - len(prompt.tokens)
        done = OurTurn(
            n_new=new_tokens(self._before, prompt.tokens),
            n_settled=self._n_settled,
            n_prefilled=meter.n_tokens - n_started - n_replied,
            first_token_s=reply.first_token_s,
            evicted=self._n_left + prompt.n_messages_dropped > 0,
        )
        self._before = session.engine.draft
        session.say(words, reply)
        n_started = meter.n_tokens
        self._n_left = session.settle()
        self._n_settled = meter.n_tokens - n_started
        return done


def new_tokens(before: Sequence[int], prompt: Sequence[int]) -> int:
    """How many tokens of `prompt` are not those of `before` in the same order, parts of which may be gone. Pure."""
    matcher = SequenceMatcher(None, before, prompt, autojunk=False)
    return len(prompt) - sum(block.size for block in matcher.get_matching_blocks())
