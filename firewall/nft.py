"""libnftables through ctypes: text transactions in the namespace of the process (the JSON form loses element limits)."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import re

from firewall.ruleset import NOTE_SECONDS, TABLE

_NAMES = ("libnftables.so.1", "libnftables.so")
#: NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE (libnftables.h): no counters, no elements of sets.
_PLAIN = 1 << 2 | 1 << 11
#: NFT_CTX_OUTPUT_JSON.
_JSON = 1 << 4
#: How many of a set's entries are told, those of the most packets first.
MOST_TOLD = 32
_COMMENT = re.compile(r'comment "([^"]*)"')


class NftRefused(Exception):
    """The kernel or the parser does not take the text; the message is theirs."""


class NftMissing(RuntimeError):
    """libnftables is not installed."""


class Nft:
    """One libnftables context."""

    def __init__(self) -> None:
        self._library = _load()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, text: str) -> str:
        """Run one transaction; return what it prints.

        Raises:
            NftRefused: nothing was changed.
        """
        failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode("utf-8"))
        printed: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        complaint: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise NftRefused(complaint.decode("utf-8", "replace").strip()[:400])
        return printed.decode("utf-8", "replace")

    def check(self, text: str) -> None:
        """Ask the kernel whether it would take the text, changing nothing.

        Raises:
            NftRefused: it would not.
        """
        self._library.nft_ctx_set_dry_run(self._context, True)
        try:
            self.run(text)
        finally:
            self._library.nft_ctx_set_dry_run(self._context, False)

    def shown(self) -> str:
        """Return our tables as the kernel has them, without counters and elements; "" when one is not there."""
        self._library.nft_ctx_output_set_flags(self._context, _PLAIN)
        try:
            return "".join(
                self.run(f"list table {family} snowgate\n") for family in ("inet", "netdev") if self._has(family)
            )
        except NftRefused:
            return ""
        finally:
            self._library.nft_ctx_output_set_flags(self._context, 0)

    def noted(self, name: str) -> list[list[str | int]]:
        """Return what dropping rules wrote into a set: key's parts, packets, and how many seconds ago the last came."""
        self._library.nft_ctx_output_set_flags(self._context, _JSON)
        try:
            told = json.loads(self.run(f"list set {TABLE} {name}\n"))["nftables"]
            entries = [each["elem"] for part in told if "set" in part for each in part["set"].get("elem", [])]
            found = [[*_parts(e["val"]), e["counter"]["packets"], NOTE_SECONDS - e["expires"]] for e in entries]
        except (NftRefused, ValueError, LookupError, TypeError):
            return []
        finally:
            self._library.nft_ctx_output_set_flags(self._context, 0)
        return sorted(found, key=lambda entry: -entry[-2])[:MOST_TOLD]

    def _has(self, family: str) -> bool:
        return f"table {family} snowgate\n" in self.run("list tables\n")

    def policies(self) -> frozenset[str]:
        """Return the comments of all loaded rules."""
        return frozenset(_COMMENT.findall(self.run("list ruleset\n")))


def _parts(value: object) -> list[str | int]:
    return value["concat"] if isinstance(value, dict) else [value]  # type: ignore[list-item]


def _load() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        return library
    raise NftMissing("libnftables")
