"""The errors of `models`: one small family, each with a stable `code` for programs and a sentence for people."""


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


class CharacterError(ModelError):
    """A character file is missing or malformed."""

    code = "character"


class DownloadError(ModelError):
    """A model could not be fetched or is not what was asked for."""

    code = "download"
