"""Whether a character's adapters and control vectors fit a model, found out without loading it, in a child process.

llama.cpp reads these files to check them, and what it does not expect in a file ends its process. `steering_troubles`
asks `python -m device.steering_probe JSON`; the answers are those that talking would come to (`models.steerer`), which
loads the model for them. What the doctor says of it is left to `device.doctor`.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from device.probes import PROBE_LIMIT_S, run_child
from models.errors import ModelError, SteeringError
from models.gguf import GgufHeader, read_gguf_header
from models.gguf_contents import read_gguf_contents
from models.native import llama_cpp
from models.steering import Steering
from models.steering_files import check_adapter, read_control_vector


def steering_troubles(model: Path, steering: Steering) -> tuple[str, ...]:
    """Why files of this steering cannot be laid over the model, a sentence each; none if all can. Blocking, at most
    PROBE_LIMIT_S. Raises ProbeError when that cannot be found out."""
    asked = {
        "model": str(model),
        "adapters": [str(path) for path in steering.scales()],
        "vectors": [str(path) for path in steering.strengths()],
    }
    answer = run_child("device.steering_probe", json.dumps(asked), limit_s=PROBE_LIMIT_S)
    return tuple(answer["troubles"])


def troubles_in(model: Path, adapters: Sequence[Path], vectors: Sequence[Path]) -> list[str]:
    """The same, found out in this process. Raises ModelError where no file could fit."""
    header = read_gguf_header(model)
    troubles = [_trouble(_check_adapter, path, header) for path in adapters]
    troubles += [_trouble(_check_vector, path, header) for path in vectors]
    return [trouble for trouble in troubles if trouble is not None]


def _trouble(check: Callable[[Path, GgufHeader], None], path: Path, model: GgufHeader) -> str | None:
    try:
        check(path, model)
    except SteeringError as error:
        return str(error)
    return None


def _check_vector(path: Path, model: GgufHeader) -> None:
    match [model.hyperparameters.get(name) for name in ("embedding_length", "block_count")]:
        case int(n_embd), int(n_layers):
            architecture = model.architecture
            read_control_vector(llama_cpp(), path, architecture=architecture, n_embd=n_embd, n_layers=n_layers)
        case _:
            raise SteeringError(f"{path} fits no model that does not say how wide and deep it is")


def _check_adapter(path: Path, model: GgufHeader) -> None:
    """With what llama.cpp says only when it loads a sound adapter: that its matrices are not those of the model."""
    check_adapter(llama_cpp(), path, model.architecture)
    shapes = {tensor.name: tensor.shape for tensor in model.tensors}
    for tensor in read_gguf_contents(llama_cpp(), path).tensors:
        name, _, factor = tensor.name.rpartition(".lora_")
        side = {"a": 0, "b": 1}.get(factor)
        if side is None:
            continue
        if name not in shapes:
            raise SteeringError(f"{path} does not fit this model, which has no {name}")
        if shapes[name][side] != tensor.shape[side]:
            raise SteeringError(f"{path} does not fit this model, whose {name} has another size")


def _answer(question: str) -> dict[str, list[str]]:
    asked = json.loads(question)
    files = [[Path(path) for path in asked[kind]] for kind in ("adapters", "vectors")]
    return {"troubles": troubles_in(Path(asked["model"]), *files)}


if __name__ == "__main__":
    try:
        sys.stdout.write("\n" + json.dumps(_answer(sys.argv[1])) + "\n")
    except ModelError as error:
        sys.exit(str(error))
