"""The vocabulary of a loaded model: text to tokens and back.

Two things go beyond llama.cpp's `llama_tokenize`. Text that continues other text gets no word-start space in front of
it (SentencePiece vocabularies put one before every text they are given), so that a prompt tokenized in parts equals the
prompt tokenized whole. And plain text never yields a token that stands for markup, not even where a model file marks
its control tokens as ordinary added words. Which text is plain is decided by `models.prompt`, what is a thought of the
model by `models.thinking`.
"""

import ctypes
from collections.abc import Collection, Iterable
from typing import Any

from models.loading import LoadedModel
from models.thinking import TAGS

_JOINT = "\n"  # put before a text that must not get a word-start space, and taken off again
_PIECE_BYTES = 64  # nearly every token is shorter; longer ones are asked for again


class Vocabulary:
    """Safe to use from several threads while the model is loaded (llama.cpp only reads it)."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._lib = lib = loaded.lib
        self._bytes: dict[int, bytes] = {}
        self._markup: dict[int, bool] = {}
        self._ends: dict[int, bool] = {}
        self.n_tokens: int = lib.llama_vocab_n_tokens(self.native)
        bos = lib.llama_vocab_bos(self.native)
        self.leading_token: int | None = bos if lib.llama_vocab_get_add_bos(self.native) and bos >= 0 else None
        """The token that must begin every prompt, where the model wants one."""
        self.bos_text = self._text_of(bos)
        self.eos_text = self._text_of(lib.llama_vocab_eos(self.native))
        self._n_joint = self._count_joint()
        self._thought_tags = self._find_tags()

    @property
    def native(self) -> Any:
        """The `llama_vocab` pointer. Raises RuntimeError after the model was closed."""
        return self._lib.llama_model_get_vocab(self._loaded.model)

    def tokenize(self, text: str, *, parse_special: bool, continues: bool = False) -> tuple[int, ...]:
        """The tokens of `text`, with nothing added before or after.

        `parse_special`: control tokens written in the text are read as such; for templates only. Without it the text
        stays text, whatever it contains. `continues`: the text follows other text, not the start or a control token.
        """
        if parse_special:
            return tuple(self._tokenize(text, parse_special=True, continues=continues))
        return tuple(self._tokenize_plain(text, continues=continues))

    def detokenize(self, tokens: Iterable[int]) -> str:
        """The text of the tokens; control tokens have none, and bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(token) for token in tokens).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for; empty for control tokens."""
        known = self._bytes.get(token)
        if known is None:
            known = self._bytes[token] = self._piece(token, special=False)
        return known

    def reply_bytes(self, token: int) -> bytes:
        """The bytes a token stands for in a reply: as `token_bytes`, but a tag around a thought is written out."""
        return self._thought_tags.get(token) or self.token_bytes(token)

    def written(self, tokens: Iterable[int]) -> str:
        """The text of the tokens as a template writes it, control tokens included."""
        return b"".join(self._piece(token, special=True) for token in tokens).decode("utf-8", "replace")

    def ends_turn(self, token: int) -> bool:
        """Whether the model ends its reply with this token: an end of turn, of text, of message, or any control token,
        which is never part of what is said (small models run on into the next turn that way). A tag around a thought
        ends nothing."""
        known = self._ends.get(token)
        if known is None:
            is_end, is_control = self._lib.llama_vocab_is_eog, self._lib.llama_vocab_is_control
            ends = bool(is_end(self.native, token) or is_control(self.native, token))
            known = self._ends[token] = ends and token not in self._thought_tags
        return known

    def never_written(self) -> tuple[int, ...]:
        """All tokens that no text is made of, not even an end of turn: control tokens and tags around a thought. Looks
        at the whole vocabulary (49,152 tokens: 25 ms)."""
        is_end, is_control = self._lib.llama_vocab_is_eog, self._lib.llama_vocab_is_control
        vocab = self.native
        return tuple(
            token
            for token in range(self.n_tokens)
            if token in self._thought_tags or (is_control(vocab, token) and not is_end(vocab, token))
        )

    def tokens_for(self, texts: Collection[bytes]) -> dict[bytes, tuple[int, ...]]:
        """For each text all the tokens that stand for exactly these bytes. Looks at the whole vocabulary (49,152
        tokens: 90 ms)."""
        found: dict[bytes, tuple[int, ...]] = dict.fromkeys(texts, ())
        for token in range(self.n_tokens):
            data = self._piece(token, special=False)
            if data in found:
                found[data] += (token,)
        return found

    def is_markup(self, token: int) -> bool:
        """Whether the token is a control token, or an added word that looks like one."""
        known = self._markup.get(token)
        if known is None:
            known = self._markup[token] = self._looks_like_markup(token)
        return known

    def _tokenize_plain(self, text: str, *, continues: bool) -> list[int]:
        tokens: list[int] = []
        for token in self._tokenize(text, parse_special=False, continues=continues):
            written = self._piece(token, special=True).decode("utf-8", "replace") if self.is_markup(token) else ""
            if len(written) > 1:  # apart, its characters are only characters
                tokens += self._tokenize_plain(written[0], continues=True)
                tokens += self._tokenize_plain(written[1:], continues=True)
            else:
                tokens.append(token)
        return tokens

    def _tokenize(self, text: str, *, parse_special: bool, continues: bool) -> list[int]:
        if not text:
            return []
        if not continues or not self._n_joint:
            return self._native_tokenize(text, parse_special=parse_special)
        return self._native_tokenize(_JOINT + text, parse_special=parse_special)[self._n_joint :]

    def _native_tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        add_special = False
        room = len(data) + 2  # no token is shorter than a byte, but for a word-start space
        while True:
            tokens = (self._lib.llama_token * room)()
            n = self._lib.llama_tokenize(self.native, data, len(data), tokens, room, add_special, parse_special)
            if n >= 0:
                return list(tokens[:n])
            room = -n

    def _piece(self, token: int, *, special: bool) -> bytes:
        room = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(room)
            n = self._lib.llama_token_to_piece(self.native, token, buffer, room, 0, special)
            if n >= 0:
                return buffer.raw[:n]
            room = -n

    def _looks_like_markup(self, token: int) -> bool:
        attributes = self._lib.llama_vocab_get_attr(self.native, token)
        if attributes & self._lib.LLAMA_TOKEN_ATTR_CONTROL:
            return True
        added = bool(attributes & self._lib.LLAMA_TOKEN_ATTR_USER_DEFINED)
        return added and any(mark in self._piece(token, special=True) for mark in (b"<", b"[", b"|"))

    def _text_of(self, token: int) -> str:
        return self._piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    def _find_tags(self) -> dict[int, bytes]:
        """The tokens that are tags around a thought, where this vocabulary has such, and their text."""
        tags = {}
        for tag in TAGS:
            for token in self._native_tokenize(tag, parse_special=True):
                if self._text_of(token) == tag:
                    tags[token] = tag.encode()
        return tags

    def _count_joint(self) -> int:
        """How many tokens the joint makes, where this vocabulary puts a space before a text; else 0."""
        if self.detokenize(self._native_tokenize("a", parse_special=False)) == "a":
            return 0
        return len(self._native_tokenize(_JOINT, parse_special=False))
