"""What of a configuration concerns the ferry, with which every view ends: all, but for how the city is reached and asked. Pure."""

from __future__ import annotations

from netconf.model import Monitoring, Site

_NO_KEY, _NOWHERE = "A" * 43 + "=", "0.0.0.0:1"


def of_ferry(site: Site) -> Site:
    """Return the site as the ferry is told it: two that are the same to it are equal.

    It decides by channels, rights, platforms, media networks, and the tunnels' addresses and MTU. A tunnel's keys and where
    its concentrator is, the city's control and its monitoring are nothing to it, and a change of them is no reason to
    end a picture.
    """
    tunnels = tuple(
        tunnel.model_copy(update={"own_key": None, "public_key": _NO_KEY, "endpoint": _NOWHERE, "probe": None})
        for tunnel in site.tunnel
    )
    return site.model_copy(update={"tunnel": tunnels, "control": None, "monitoring": Monitoring()})
