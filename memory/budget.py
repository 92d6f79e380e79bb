"""How much of what was recalled a prompt may take. Pure; what a text costs is measured by whoever knows the model."""

from collections.abc import Callable, Iterable


def within_budget(texts: Iterable[str], most: int, measure: Callable[[str], int]) -> tuple[str, ...]:
    """Those of `texts`, best first, that together cost at most `most`. One that does not fit any more is left out
    whole, for a cheaper one behind it: half a memory may say the opposite of the whole."""
    chosen, left = [], most
    for text in texts:
        cost = measure(text)
        if cost <= left:
            chosen.append(text)
            left -= cost
    return tuple(chosen)
