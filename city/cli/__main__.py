"""``python -m city.cli``: the same without the box's rooms; the server starts its signing process so."""

from __future__ import annotations

import argparse
import sys

from city.cli import commands

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="snowgate city")
    commands.add_arguments(parser)
    sys.exit(commands.run(parser.parse_args()))
