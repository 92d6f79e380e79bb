"""What remembers: verbatim turns in SQLite and their recall.

Imports no other room of the house. Nothing heavy is imported here; import the module you need.
"""
