"""Where the states of an engine come from: the files it loaded, its settings, and the build of llama.cpp.

The engine tells its origin without touching a file. The key of saved states (`models.state_file`) is worked out from
that on any thread, because files of gigabytes are hashed for it, once for each that was loaded (`models.fingerprint`).
"""

from dataclasses import dataclass
from pathlib import Path

from models.fingerprint import LoadedHashes, StampedFile
from models.loading import EngineSettings
from models.state_file import StateKey
from models.steering import Steering, steering_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What an engine computes with at one moment. `steered_by` are the files of `steering` that count, `build` is
    `engine_fingerprint`; `hashes` are kept by the engine for all of its origins."""

    model: StampedFile
    steering: Steering
    steered_by: tuple[StampedFile, ...]
    settings: EngineSettings
    n_ctx: int
    build: str
    hashes: LoadedHashes

    def key(self, label: str, memo: Path | None = None) -> StateKey:
        """What a state computed with this belongs to. Blocking, a second per gigabyte, for files not hashed before:
        neither here nor, with `memo`, in an earlier process.

        Raises ModelFileError or SteeringError when one of the files is gone or has changed since it was loaded: what
        was computed with the old one must not pass for the work of the new one.
        """
        loaded = {file.path: file for file in self.steered_by}
        return StateKey(
            model_sha256=self.hashes.sha256(self.model, memo),
            steering=steering_digest(self.steering, lambda path: self.hashes.sha256(loaded[path], memo)),
            type_k=self.settings.kv_type,
            type_v=self.settings.kv_type,
            n_ctx=self.n_ctx,
            flash_attention=self.settings.flash_attention,
            gpu_layers=self.settings.gpu_layers,
            engine=self.build,
            label=label,
        )
