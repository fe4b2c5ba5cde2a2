"""``python -m tests.fuzz SECONDS``: all targets in turn, each as long as the others; exit status 1 when one found something.

What was found lies in ``build/fuzz/`` under the target's name; what led to new code in ``build/fuzz/corpus``, from
where the next run goes on.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fuzz.seeds import seeds, words
from tests.fuzz.targets import TARGETS

OUT = Path("build/fuzz")
#: The longest datagram; a single input may not take longer than a keepalive may wait.
MAX_BYTES, MAX_INPUT_SECONDS, MAX_MEMORY_MB = 65535, 10, 1024


def run(name: str, seconds: int) -> bool:
    """Fuzz one target; return whether nothing was found."""
    corpus = OUT / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(seeds(name)):
        (corpus / f"seed-{at:03d}").write_bytes(seed)
    quoted = ("".join(f"\\x{octet:02x}" for octet in word) for word in words(name))
    (OUT / f"{name}.words").write_text("\n".join(f'"{word}"' for word in quoted), encoding="ascii")
    limits = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", f"-timeout={MAX_INPUT_SECONDS}"]
    limits += [
        f"-rss_limit_mb={MAX_MEMORY_MB}",
        f"-artifact_prefix={OUT}/{name}-",
        "-print_final_stats=1",
        f"-dict={OUT}/{name}.words",
    ]
    command = [sys.executable, "-m", "tests.fuzz.one", name, *limits, str(corpus)]
    done = subprocess.run(command, capture_output=True, timeout=seconds + 120, check=False)
    (OUT / f"{name}.log").write_bytes(done.stdout + done.stderr)
    told = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    runs = next((line.split()[-1] for line in told if "number_of_executed_units" in line), "?")
    print(
        f"{name:<10}{seconds:>6} s {runs:>10} inputs   {'nothing found' if not done.returncode else 'FOUND:'}",
        flush=True,
    )
    if done.returncode:
        print("\n".join(line for line in told if "INFO" not in line and "\tNEW" not in line)[-3000:])
    return not done.returncode


def main(seconds: int) -> int:
    """Fuzz all; return the exit status."""
    OUT.mkdir(parents=True, exist_ok=True)
    each = max(1, seconds // len(TARGETS))
    clean = [run(name, each) for name in TARGETS]  # each has its turn, whatever the one before found
    return int(not all(clean))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
