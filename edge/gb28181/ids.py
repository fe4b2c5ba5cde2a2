"""The 20-digit code of GB/T 28181 annex D (2016) / E (2022): PPCCDDBB II TTT N SSSSSS."""

from __future__ import annotations

import re

_CODE = re.compile(r"[0-9]{20}", re.ASCII)
CAMERA, IP_CAMERA, NVR, PLATFORM = "131", "132", "118", "200"


def is_code(text: str) -> bool:
    """Return whether ``text`` is twenty ASCII digits."""
    return _CODE.fullmatch(text) is not None


def issue(site_id: str, type_code: str, serial: int) -> str:
    """Return the code of ``site_id``'s own channel number ``serial``: its centre, industry and network digits.

    Raises:
        ValueError: the serial is not 1 to 999999, or the type not three digits.
    """
    if not 1 <= serial <= 999_999 or not re.fullmatch(r"[0-9]{3}", type_code, re.ASCII) or not is_code(site_id):
        raise ValueError(f"no code for type {type_code!r}, serial {serial}")
    return f"{site_id[:10]}{type_code}{site_id[13]}{serial:06d}"
