"""``python -m qopt`` is the command ``qopt``: one line and exit code 130 when interrupted, while it loads too."""

import os
import signal
import sys


def run() -> None:
    """Console script."""
    try:
        from qopt.cli.app import main

        code = main()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("qopt: interrupted", file=sys.stderr)
        os._exit(130)  # an import that was broken off leaves nothing that could be closed in order
    sys.exit(code)


if __name__ == "__main__":
    run()
