"""``python -m tests.simulator SEED`` tells one seed's story; ``python -m tests.simulator FIRST COUNT`` plays many."""

from __future__ import annotations

import sys
import time

from tests.simulator.world import bench, play


def main(words: list[str]) -> int:
    """Play, and say which seeds did not hold."""
    first, count = int(words[0]), int(words[1]) if len(words) > 1 else 1
    red = 0
    with bench() as made:
        began = time.process_time()
        for seed in range(first, first + count):
            told = play(made, seed)
            if count == 1:
                print("\n".join(told.story))
            if told.violated is not None:
                red += 1
                print(f"seed {seed}: {told.violated}")
        print(f"{count} seeds, {red} red, {time.process_time() - began:.1f} s of CPU")
        if count == 1:
            print(told.digest)
    return int(red > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
