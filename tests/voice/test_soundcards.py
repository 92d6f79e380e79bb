"""Loading PortAudio on a machine whose sound is set up wrongly."""

import sys
from pathlib import Path

import pytest

from voice.errors import AudioDeviceError
from voice.soundcards import load_portaudio


def test_a_portaudio_that_does_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text(
        "class PortAudioError(Exception): pass\nraise PortAudioError('Unanticipated host error')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(AudioDeviceError, match=r"does not start \(Unanticipated host error\): check .*asoundrc"):
        load_portaudio()
