"""The history forgets just what was forgotten, and saved messages come back with the turns that memory has of them."""

from device.history import Entry, History, continued_from, entry_of
from memory.messages import Turn
from models.messages import Message


def user(text: str) -> Message:
    return Message(role="user", text=text)


def pip(text: str, *tokens: int) -> Message:
    return Message(role="assistant", text=text, tokens=tokens)


def entry(turn_id: int | None, words: str, reply: str = "") -> Entry:
    return Entry(messages=(user(words), *([pip(reply)] if reply else [])), turn_id=turn_id)


def turn(turn_id: int, words: str, reply: str) -> Turn:
    return Turn(
        turn_id=turn_id,
        conversation_id=1,
        person="Ada",
        character="Pip",
        user_text=words,
        reply_text=reply,
        said_at=0.0,
    )


def texts(history: History, hidden: frozenset[int] = frozenset()) -> list[str]:
    return [message.text for message in history.messages(hidden)]


def test_messages_are_flat_and_oldest_first() -> None:
    history = History([entry(1, "Hi.", "Hello.")])
    history.add(Entry(messages=(pip("Are you there?"),), turn_id=2))
    assert texts(history) == ["Hi.", "Hello.", "Are you there?"]


def test_turns_that_are_kept_from_somebody_are_not_shown() -> None:
    history = History([entry(1, "a", "b"), entry(2, "c", "d"), entry(None, "e")])
    assert texts(history, frozenset({1})) == ["c", "d", "e"]
    assert history.turn_ids == (1, 2)


def test_the_first_messages_leave_with_whole_turns() -> None:
    history = History([entry(1, "a", "b"), entry(2, "c", "d"), Entry(turn_id=3), entry(4, "e")])
    history.drop_first(0)
    assert history.n_kept == 4
    history.drop_first(2)
    assert texts(history) == ["c", "d", "e"]
    history.drop_first(1)
    assert texts(history) == ["d", "e"]
    history.drop_first(9)
    assert history.last is None


def test_of_a_prompt_with_something_hidden_the_first_messages_are_those_shown() -> None:
    history = History([entry(1, "hidden", "as well"), entry(2, "a", "b"), entry(3, "c")])
    history.drop_first(2, frozenset({1}))
    assert texts(history) == ["c"]


def test_only_turns_that_were_asked_for_and_are_gone_leave() -> None:
    history = History([entry(1, "a"), entry(2, "b"), entry(None, "in confidence")])
    asked = history.turn_ids
    history.add(entry(3, "said meanwhile"))
    history.keep_only({2}, of=asked)
    assert texts(history) == ["b", "in confidence", "said meanwhile"]


def test_words_that_memory_does_not_have_are_off_the_record_until_it_has() -> None:
    history = History([entry(1, "a")])
    assert not history.is_off_record
    waiting = entry(None, "b")
    history.add(waiting)
    assert history.is_off_record
    waiting.turn_id = 2
    assert not history.is_off_record
    history.add(Entry())
    assert not history.is_off_record, "there are no words in it"


def test_what_memory_does_not_have_is_found_by_its_words() -> None:
    private, other = entry(None, "My hamsters are ill."), entry(None, "Hello.", "Hi.")
    history = History([entry(1, "hamster"), private, other])
    assert history.about("Hamster") == (private,)
    assert history.about("!") == ()
    history.remove(private, entry(None, "not here"))
    assert texts(history) == ["hamster", "Hello.", "Hi."]


def test_saved_messages_get_their_turns_back_and_keep_their_tokens() -> None:
    turns = [turn(4, "Hi.", "Hello."), turn(5, "", "Well?"), turn(6, "Bye.", "See you.")]
    continued = continued_from((pip(" Hello.", 7, 8), pip("Well?", 9)), turns)
    assert continued is not None
    assert [(each.turn_id, each.messages) for each in continued] == [
        (4, (pip(" Hello.", 7, 8),)),
        (5, (pip("Well?", 9),)),
        (6, (user("Bye."), pip("See you."))),
    ]


def test_what_memory_has_not_word_for_word_is_not_continued() -> None:
    turns = [turn(4, "Hi.", "Hello.")]
    assert continued_from((), turns) is None
    assert continued_from((user("Hi."), pip("Hello you.")), turns) is None
    assert continued_from((user("Hi."), pip("Hello."), user("And?")), turns) is None


def test_a_turn_of_the_memory_has_only_messages_with_words() -> None:
    assert entry_of(turn(1, "", "Hello!")).messages == (pip("Hello!"),)
