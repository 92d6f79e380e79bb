"""The errors of `models`: one small family, each with a stable `code` for programs and a sentence for people."""

from typing import Literal


class ModelError(Exception):
    """Something a person can mend: the message says what is wrong, where, and how to mend it."""

    code = "model"


class ModelFileError(ModelError):
    """A model file is missing, cut short, damaged or of another kind."""

    code = "model_file"


class TemplateError(ModelError):
    """A chat template is missing, does not parse or does something a template may not do."""

    code = "template"


class PromptTooLongError(ModelError):
    """The character and the newest words alone do not fit into the context."""

    code = "prompt_too_long"


class GrammarError(ModelError):
    """A grammar or JSON schema that does not parse, or that a reply cannot follow."""

    code = "grammar"


class CharacterError(ModelError):
    """A character file is missing or malformed."""

    code = "character"


class RemoteError(ModelError):
    """A server that thinks in place of a model here cannot be reached, refused, or broke off."""

    code = "remote"


class SteeringError(ModelError):
    """An adapter or a control vector is missing, damaged, or made for another model."""

    code = "steering"


StateTrouble = Literal["absent", "unreadable", "damaged", "foreign", "unwritable", "no_space"]
"""Why a saved state is of no use: `foreign` is whole but of another model, steering, context or build."""


class StateFileError(ModelError):
    """A saved state of the KV cache cannot be used or written. It costs a prefill, nothing else."""

    code = "state_file"

    def __init__(self, message: str, *, reason: StateTrouble) -> None:
        super().__init__(message)
        self.reason: StateTrouble = reason


class DownloadError(ModelError):
    """A model could not be fetched or is not what was asked for."""

    code = "download"
