"""Giving rights up: everything but CAP_NET_ADMIN, for good, and for whatever is executed from here."""

from __future__ import annotations

import ctypes

CAP_NET_ADMIN = 12
_LAST_CAP = 40
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_VERSION_3 = 0x20080522
CLONE_NEWNET = 0x40000000


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def enter(namespace: int) -> None:
    """Enter the network namespace that a descriptor stands for.

    Raises:
        OSError: the kernel does not let us.
    """
    _call("setns", namespace, CLONE_NEWNET)


def keep_net_admin() -> None:
    """Drop every capability but CAP_NET_ADMIN, also from the bounding set, and forbid new ones.

    Raises:
        OSError: the kernel does not let us.
    """
    for capability in range(_LAST_CAP + 1):
        if capability != CAP_NET_ADMIN:
            _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    mask = 1 << CAP_NET_ADMIN
    data = (_Data * 2)(_Data(mask, mask, 0), _Data(0, 0, 0))
    _call("capset", ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data))
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
