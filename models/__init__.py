"""What thinks: the llama.cpp engine, the prompt, the character, and the store of model files.

Imports no other room of the house. Nothing heavy is imported here; import the module you need.
"""
