"""The chat template of a model: Jinja source from a file nobody vouches for, turned into the text around messages.

Messages never enter the template. It is rendered with placeholders in their place, and the result is split there: the
caller tokenizes what the template wrote with control tokens, and what people said as plain text, so that nobody can
speak a control token. A template that inspects or changes a content therefore sees a placeholder; stripping it has no
effect (contents are stripped by `models.prompt`). What a template may do is bounded by `models.sandbox`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from models.errors import TemplateError
from models.messages import Role
from models.printable import clipped

_OPEN, _CLOSE = "\ue000", "\ue001"  # of the private use area: no template writes them
_MAX_REASON = 300  # characters
_PLACEHOLDER = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")


class ChatTemplate:
    """One model's template. `supports_system` says whether it has a place for a system message, and that before
    everything else: a template that writes it into the last user's message would change the prompt's beginning with
    every turn."""

    def __init__(
        self,
        source: str | None,
        *,
        bos: str = "",
        eos: str = "",
        model_name: str = "this model",
        thinking: bool = False,
        now: datetime | None = None,
    ) -> None:
        """`bos` and `eos` are the texts of the model's tokens; `thinking` asks templates that know of thoughts for one
        before the reply; `now` is the date for templates that write one, fixed here because a prompt whose beginning
        changes at midnight would have to be computed anew.

        Raises TemplateError when there is no template, when it does not parse or cannot render a user's message.
        """
        if not source:
            raise TemplateError(
                f"{model_name} has no chat template: use a model that was made for chat, or take the template from its "
                "model card and name it in the settings (think.chat_template)"
            )
        from models.sandbox import BoundedEnvironment

        self._name = model_name
        self._values = {"bos_token": bos, "eos_token": eos, "add_generation_prompt": True, "enable_thinking": thinking}
        self._environment = BoundedEnvironment(now or datetime.now().astimezone())
        with self._explained("does not parse"):
            self._template = self._environment.compile_bounded(source)
        self.render(("user",))
        self.supports_system = self._renders(("system", "user", "assistant", "user"))

    def render(self, roles: Sequence[Role]) -> tuple[str | int, ...]:
        """The prompt for messages of these roles, up to where the assistant's next message begins: texts of the
        template, and the index of each message where its content belongs.

        Raises TemplateError when the template refuses this sequence of roles, fails, or leaves a message out.
        """
        parts = _PLACEHOLDER.split(self._render_text(roles))
        segments = tuple(int(part) if at % 2 else part for at, part in enumerate(parts) if part)
        if [segment for segment in segments if isinstance(segment, int)] != list(range(len(roles))):
            raise TemplateError(f"the chat template of {self._name} leaves out, doubles or reorders messages")
        if any(mark in segment for segment in segments if isinstance(segment, str) for mark in (_OPEN, _CLOSE)):
            raise TemplateError(f"the chat template of {self._name} cuts messages apart")
        return segments

    def _renders(self, roles: Sequence[Role]) -> bool:
        try:
            self.render(roles)
        except TemplateError:
            return False
        return True

    def _render_text(self, roles: Sequence[Role]) -> str:
        from models.sandbox import MAX_CHARS

        messages = [{"role": role, "content": f"{_OPEN}{index}{_CLOSE}"} for index, role in enumerate(roles)]
        self._environment.restart()
        pieces: list[str] = []
        n_chars = 0
        with self._explained("failed"):
            for piece in self._template.generate(messages=messages, **self._values):
                pieces.append(piece)
                n_chars += len(piece)
                if n_chars > MAX_CHARS:
                    raise ValueError(f"it writes more than {MAX_CHARS} characters")
        return "".join(pieces)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn whatever a template can raise into a TemplateError: Jinja's errors and those of Python expressions."""
        from jinja2 import TemplateError as JinjaError

        try:
            yield
        except JinjaError as error:
            raise self._refusal(what, str(error)) from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise self._refusal(what, repr(error)) from error
        except (MemoryError, RecursionError, SyntaxError) as error:
            raise self._refusal(what, type(error).__name__) from error

    def _refusal(self, what: str, why: str) -> TemplateError:
        """`why` may be in the template's own words (`raise_exception`)."""
        return TemplateError(f"the chat template of {self._name} {what}: {clipped(why, _MAX_REASON)}")
