"""Giving rights up for good: every capability but one, or all, also for whatever is executed from here."""

from __future__ import annotations

import ctypes

CAP_NET_ADMIN = 12
_LAST_CAP = 40
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def keep_only(kept: int | None = None) -> None:
    """Drop every capability but ``kept``, also from the bounding set, and forbid new ones.

    A process that may not change its bounding set (no CAP_SETPCAP: it was started with few rights) leaves it: without
    privileges that are new, nothing comes out of it.

    Raises:
        OSError: the kernel does not let us.
    """
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(_LAST_CAP + 1):
        if capability != kept:
            try:
                call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
            except PermissionError:
                break
    mask = 0 if kept is None else 1 << kept
    data = (_Data * 2)(_Data(mask, mask, 0), _Data(0, 0, 0))
    call("capset", ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data))


def call(name: str, *arguments: object) -> None:
    """Call libc.

    Raises:
        OSError: it says no; PermissionError for EPERM.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
