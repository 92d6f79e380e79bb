"""What listens and speaks: audio, voice activity, turn-taking, speech recognition, clauses, synthesis, playback.

Imports no other room of the house. Nothing heavy is imported here; import the module you need.
"""
