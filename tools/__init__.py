"""What makes and measures characters: benchmarks first, the forge later.

`tools` may import anything; nothing imports it but the command line's sub-commands, lazily.
"""
