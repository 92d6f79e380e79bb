"""The living companion: conversation, settings, command line.

`device` composes `voice`, `models`, `memory` and `firmware_bridge`; it alone translates between their vocabularies.
"""
