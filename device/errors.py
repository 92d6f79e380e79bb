"""The errors of `device`: one small family, each with a stable `code` for programs and a sentence for people."""


class FamiliarError(Exception):
    """Something a person can mend: the message says what is wrong, where, and how to mend it."""

    code = "familiar"


class SettingsError(FamiliarError):
    """The settings file or an override holds a mistake; the message names every one of them."""

    code = "settings"


class EngineChoiceError(FamiliarError):
    """An engine or model that the settings ask for is not on this machine."""

    code = "engine_choice"


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error inside a group of a task group, at whatever depth: the one that made the others stop."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
