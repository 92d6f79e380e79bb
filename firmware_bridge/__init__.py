"""What moves: the wire protocol to toy and robot hardware, and the seam a body is driven through.

Imports no other room of the house. Nothing heavy is imported here; import the module you need.
"""
