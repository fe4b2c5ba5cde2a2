"""A stand-in for the runner of proofs: it proves nothing, and says what a file tells it to (green when there is none).

The lab's streets apply dozens of changes; a proof of each would take minutes. What proofs are worth is tested with the
runner itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

NAMES = ("lan", "vpn", "wan")


def main() -> int:
    """Write a result upon the rules that were given; the first word of the file is what it says."""
    parser = argparse.ArgumentParser(prog="proof-standin")
    parser.add_argument("told", type=Path)
    for name in ("site", "out", "texts"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    told = given.told.read_text(encoding="ascii").strip() if given.told.exists() else "green"
    if told == "hang":
        time.sleep(3600)
    if told == "none":
        print("the stand-in was told to prove nothing", file=sys.stderr)
        return 2
    rules = {name: hashlib.sha256((given.texts / f"{name}.nft").read_bytes()).hexdigest() for name in NAMES}
    if told == "other":
        rules["lan"] = "0" * 64
    cases = [{"id": "stand-in", "green": told != "red"}]
    (given.out / "result.json").write_text(json.dumps({"rulesets": rules, "cases": cases}), encoding="utf-8")
    return int(told == "red")


if __name__ == "__main__":
    sys.exit(main())
