"""The program `familiar`, also `python -m device`: the way into `device.cli`.

Importing the command line takes a tenth of a second, in which somebody may already press Ctrl-C. So this module
imports nothing itself; all the rest, from options to exit statuses, is left to `device.cli`.
"""

import sys


def main() -> None:
    """The entry point of the program."""
    try:
        from device.cli import main as run_command_line
    except KeyboardInterrupt:
        sys.stderr.write("familiar: stopped by Ctrl-C\n")
        sys.exit(1)
    run_command_line()


if __name__ == "__main__":
    main()
