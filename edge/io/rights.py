"""Giving rights up for good: root's name, and every capability but one, or all, also for whatever is executed from here."""

from __future__ import annotations

import ctypes
import os
import pwd

CAP_NET_ADMIN = 12
_CAP_SETPCAP = 8
_LAST_CAP = 40
_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 24, 38, 47
_PR_CAP_AMBIENT_RAISE = 2
_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def uid_of(user: str) -> int | None:
    """Return a user's number, None when there is no such user."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def become(user: str, kept: int) -> None:
    """Give up being root for being ``user``, with the one capability ``kept``, which also what it executes has.

    A process that is that user already (all are one in namespaces that an ordinary user made) only gives up the rest.

    Raises:
        LookupError: there is no such user.
        OSError: the kernel does not let us.
    """
    who = pwd.getpwnam(user)
    if os.getuid() != who.pw_uid:
        call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.initgroups(user, who.pw_gid)
        os.setgid(who.pw_gid)
        os.setuid(who.pw_uid)
        _set((1 << kept) | (1 << _CAP_SETPCAP))  # setuid left what is effective empty
    keep_only(kept)


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
    _set(0 if kept is None else 1 << kept)
    if kept is not None:
        # What is executed by a user other than root has only what is ambient (capabilities(7)).
        call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, kept, 0, 0)


def _set(mask: int) -> None:
    data = (_Data * 2)(_Data(mask, mask, mask), _Data(0, 0, 0))
    call("capset", ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data))


def call(name: str, *arguments: object) -> None:
    """Call libc.

    Raises:
        OSError: it says no; PermissionError for EPERM.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
