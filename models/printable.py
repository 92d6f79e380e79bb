"""Text from files nobody vouches for, made fit for a line on a terminal. Pure."""


def clipped(text: str, n_characters: int) -> str:
    """At most so many printable characters in one line, "…" in place of what was cut; a run of white space and whatever
    else a terminal would not print as it stands (escape codes, marks that turn the writing around) is one space."""
    # What is cut is never looked at: a file may have megabytes of it. Twice the length leaves room for what shrinks.
    head = text[: 2 * n_characters]
    line = " ".join("".join(char if char.isprintable() else " " for char in head).split())
    return line if len(line) <= n_characters and len(head) == len(text) else f"{line[: n_characters - 1]}…"
