"""``python -m qopt`` is the command ``qopt``."""

from qopt.cli.app import run

if __name__ == "__main__":
    run()
