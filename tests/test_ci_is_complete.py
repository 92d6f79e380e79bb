"""In CI nothing that the tests need may be missing: there, a test that skips would go unnoticed."""

import os
import shutil
from importlib.util import find_spec

import pytest

from device.engines import model_store

pytestmark = pytest.mark.skipif(not os.environ.get("CI"), reason="asked only of CI")


def test_the_starter_model_is_here() -> None:
    assert model_store(os.environ).find("smollm2-135m") is not None


@pytest.mark.parametrize("program", ["pulseaudio", "pactl", "paplay", "parec", "openssl"])
def test_the_sound_server_and_what_makes_certificates_are_here(program: str) -> None:
    assert shutil.which(program) is not None


@pytest.mark.parametrize(
    "module", ["espeakng_loader", "piper", "pocketsphinx", "faster_whisper", "onnx", "matplotlib", "sqlcipher3"]
)
def test_the_engines_are_here(module: str) -> None:
    assert find_spec(module) is not None
