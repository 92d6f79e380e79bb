"""A program of its own: fetches files of a repository on the Hugging Face Hub into a folder, through huggingface_hub.

    python -P hub_client.py REPO REVISION FOLDER [PATH SIZE SHA256]...

Started by `models.fetch`. Asks what the hub has before it fetches the first byte. What of a file has arrived stands in
`FOLDER/PATH.<sha256>.partial` and is continued from there the next time; a file that is whole stands at `FOLDER/PATH`.
Nothing is verified but sizes. The last line on stderr says why it failed: "REFUSED: ..." where the hub has not, or does
not give, what is wanted, "ERROR: ..." for everything else.
"""

import sys
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, but not declared as such

_SHA256_DIGITS = 64
"""The hub's ETag of a large file is its SHA-256; that of a small one is git's hash, which is shorter."""


class _Wanted(NamedTuple):
    path: str
    url: str
    size_bytes: int
    sha256: str


def main(repo: str, revision: str, folder: str, *facts: str) -> None:
    """Fetch the files that `facts` (path, size, SHA-256, and so on) describe, or leave with a sentence."""
    wanted = [
        _Wanted(path, hf_hub_url(repo, path, revision=revision), int(size), sha256)
        for path, size, sha256 in zip(facts[::3], facts[1::3], facts[2::3], strict=True)
    ]
    try:
        for file in wanted:
            _check(file)
    except GatedRepoError:
        sys.exit(
            f"REFUSED: {repo} is for accounts that have accepted its terms: accept them at "
            f"https://huggingface.co/{repo} and `hf auth login`, or choose another model"
        )
    except RepositoryNotFoundError:
        sys.exit(f"REFUSED: the hub has no repository {repo}, or shows it to its own accounts only (`hf auth login`)")
    for file in wanted:
        _fetch(file, Path(folder))


def _check(file: _Wanted) -> None:
    there = get_hf_file_metadata(file.url)
    if there.size is not None and there.size != file.size_bytes:
        sys.exit(f"REFUSED: {file.path} has {there.size} bytes at the hub, {file.size_bytes} in the catalogue")
    if there.etag is not None and len(there.etag) == _SHA256_DIGITS and there.etag != file.sha256:
        sys.exit(f"REFUSED: {file.path} is not the file that the catalogue pins (SHA-256 {there.etag[:12]}…)")


def _fetch(file: _Wanted, folder: Path) -> None:
    """With `http_get`, because `hf_hub_download` of newer versions begins every file anew."""
    whole = folder / file.path
    if whole.is_file():
        return
    partial = whole.with_name(f"{whole.name}.{file.sha256[:12]}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab") as out:
        n_here = out.tell()
        if n_here > file.size_bytes:
            n_here = out.truncate(0)
        http_get(file.url, out, resume_size=n_here, headers=build_hf_headers(), expected_size=file.size_bytes)
    partial.replace(whole)


def _say_why(_kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    """The root cause ("Name or service not known") says more in one line than the client's own paragraph about it."""
    while error.__cause__ is not None:
        error = error.__cause__
    sys.stderr.write("ERROR: " + (str(error) or type(error).__name__).strip().splitlines()[0] + "\n")


if __name__ == "__main__":
    sys.excepthook = _say_why
    main(*sys.argv[1:])
