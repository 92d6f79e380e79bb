"""The errors of `memory`: one small family, each with a stable `code` for programs and a sentence for people."""


class MemoryStoreError(Exception):
    """Something a person can mend: the message says what is wrong, where, and how to mend it. Never quotes a turn."""

    code = "memory"


class MemoryAccessError(MemoryStoreError):
    """The file or its directory is missing, read-only or not ours to read."""

    code = "memory_access"


class MemoryFullError(MemoryStoreError):
    """No space is left where the memory lives. Nothing was written; the same turn can be committed again later."""

    code = "memory_full"


class MemoryBusyError(MemoryStoreError):
    """Another program holds the memory and did not let go in time. Nothing was written."""

    code = "memory_busy"


class MemoryDamagedError(MemoryStoreError):
    """The file is damaged and was left as it is: by whom only looks, or while another program has it open."""

    code = "memory_damaged"


class MemoryFormatError(MemoryStoreError):
    """A sound database that this version cannot use: written by a newer version or by another program."""

    code = "memory_format"


class MemoryInputError(MemoryStoreError):
    """A turn or a name that cannot be stored. Nothing was written."""

    code = "memory_input"


class MemoryKeyError(MemoryStoreError):
    """The key of an encrypted memory is missing, unreadable or another one's. The file was left as it is."""

    code = "memory_key"
