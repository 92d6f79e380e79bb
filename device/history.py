"""History as a list of messages: how turns become one, and how it is found again in memory. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from memory.messages import Turn
from models.messages import Message


def turn_count(history: Sequence[Message]) -> int:
    """Turns in a history: each begins with words of the person, but for a reply to nothing, such as a greeting."""
    roles = ["assistant", *(message.role for message in history)]
    return sum(role == "user" or before == "assistant" for before, role in pairwise(roles))


def messages_of(turn: Turn) -> list[Message]:
    """What of a turn stands in a history."""
    both = (Message(role="user", text=turn.user_text), Message(role="assistant", text=turn.reply_text))
    return [message for message in both if message.text]


def continued_from(saved: Sequence[Message], remembered: Sequence[Message]) -> list[Message] | None:
    """What was saved and what memory has after it; None where memory does not have just these messages in a row."""
    texts = [(message.role, message.text.strip()) for message in remembered]
    wanted = [(message.role, message.text.strip()) for message in saved]
    for start in range(len(texts) - len(wanted), -1, -1):
        if wanted and texts[start : start + len(wanted)] == wanted:
            return [*saved, *remembered[start + len(wanted) :]]
    return None


def is_among(message: Message, messages: Sequence[Message]) -> bool:
    """This very message, not one of the same words."""
    return any(message is other for other in messages)
