"""``snowgate lab sign``: the lab city signs a layer. The real city signs in a process whose key no page ever holds."""

from __future__ import annotations

import argparse
import time
import tomllib
from pathlib import Path

from edge.lab.control import city_key
from netconf import envelope


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("layer", type=Path, help="the city's parts of a site file (TOML)")
    parser.add_argument("--city", type=Path, required=True, help="the city's folder; holds its key")
    parser.add_argument("--site", required=True, help="20 digits")
    parser.add_argument("--device", required=True, help="the device key's hash, from `snowgate status --json`")
    parser.add_argument("--epoch", type=int, default=1)
    parser.add_argument("--revision", type=int, required=True)
    parser.add_argument("--days", type=float, default=30, help="until it may no longer be used")


def run(args: argparse.Namespace) -> int:
    """Print the envelope."""
    payload = {
        "site": args.site,
        "device": args.device,
        "epoch": args.epoch,
        "revision": args.revision,
        "not_after": int(time.time() + args.days * 86400),
        "layer": tomllib.loads(args.layer.read_text(encoding="utf-8")),
    }
    print(envelope.sign("layer", payload, city_key(args.city)))
    return 0
