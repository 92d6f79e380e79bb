"""The errors of `voice`: one small family, each with a stable `code` for programs and a sentence for people."""


class VoiceError(Exception):
    """Something a person can mend: the message says what is wrong, where, and how to mend it."""

    code = "voice"


class AudioFileError(VoiceError):
    """A WAV file is missing, empty, cut short or no audio at all."""

    code = "audio_file"


class AudioDeviceError(VoiceError):
    """A microphone or speaker is missing or refuses to open."""

    code = "audio_device"


class VoiceModelError(VoiceError):
    """A recognition or synthesis model is missing, damaged or its library is not installed."""

    code = "voice_model"
