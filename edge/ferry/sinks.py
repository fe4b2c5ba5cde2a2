"""Where the views that are opened next go: each is told before its OpenMedia, and is held until then."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from ipaddress import IPv4Address

from edge.ferry.calls import PassedSocket, Way
from edge.ferry.commands import CloseDescriptor, Command
from edge.ferry.verify import VerifyRefused
from edge.records.types import FORMATS, MediaDial, MediaReports, MediaSink
from netconf.model import Site


class Sinks:
    """The ways of views that are not opened yet; ``begun`` are the numbers of those that are."""

    def __init__(self, site: Site, begun: Container[int], emit: Callable[[Command], None]) -> None:
        self._begun = begun
        self._emit = emit
        self._most = site.max_calls
        self._own = {str(tunnel.address.ip) for tunnel in site.tunnel}
        self._media = {platform.id: platform.media_networks for platform in site.platform}
        self._ways: dict[int, Way] = {}

    def hold(self, sink: MediaSink, passed: PassedSocket) -> None:
        """Keep a socket for the view that is opened next.

        Raises:
            VerifyRefused: no honest side sends it.
        """
        if passed.transport != "udp":
            raise VerifyRefused("descriptor_not_udp")
        way = Way(passed.local, passed.peer, "udp", sink.ssrc, _types(sink), passed.descriptor, mux=bool(sink.mux))
        self._hold(sink.call, way)

    def hold_dial(self, dial: MediaDial) -> None:
        """Keep where the view that is opened next is to be dialled.

        Raises:
            VerifyRefused: no honest side sends it.
        """
        peer, local = (str(IPv4Address(dial.address)), dial.port), (str(IPv4Address(dial.local)), dial.local_port)
        self._hold(dial.call, Way(local, peer, "tcp", dial.ssrc, _types(dial)))

    def hold_reports(self, told: MediaReports, passed: PassedSocket) -> None:
        """Keep where the city hears reports: at the media's host, from the port above the media's own.

        Raises:
            VerifyRefused: no honest side sends it.
        """
        way = self._ways.get(told.call)
        if way is None or way.transport != "udp" or way.mux or way.reports is not None:
            raise VerifyRefused("reports_unexpected")
        if (passed.local, passed.peer[0]) != ((way.local[0], way.local[1] + 1), way.peer[0]):
            raise VerifyRefused("sink_foreign_address")
        self._ways[told.call] = replace(way, reports=passed)

    def _hold(self, call: int, way: Way) -> None:
        if not way.types or call in self._ways or call in self._begun or len(self._ways) >= self._most:
            raise VerifyRefused("sink_unexpected")
        if way.local[0] not in self._own or not any(self._is_media_of(platform, way) for platform in self._media):
            raise VerifyRefused("sink_foreign_address")
        self._ways[call] = way

    def _is_media_of(self, platform: str, way: Way) -> bool:
        return any(IPv4Address(way.peer[0]) in network for network in self._media.get(platform, ()))

    def take(self, call: int, platform: str) -> Way:
        """Return the way of a view of this platform that begins.

        Raises:
            VerifyRefused: no honest side opens it so.
        """
        way = self._ways.pop(call, None)
        if way is None:
            raise VerifyRefused("open_without_sink")
        if not self._is_media_of(platform, way):
            self.let_go(way)
            raise VerifyRefused("sink_of_another_platform")
        return way

    def let_go(self, way: Way) -> None:
        """Close a way's sockets."""
        if way.descriptor is not None:
            self._emit(CloseDescriptor(way.descriptor))
        if way.reports is not None:
            self._emit(CloseDescriptor(way.reports.descriptor))

    def let_all_go(self) -> None:
        """The city side is gone: what it told of views to come is void."""
        for way in self._ways.values():
            self.let_go(way)
        self._ways.clear()


def _types(sink: MediaSink | MediaDial) -> dict[str, int]:
    """The payload types of the formats that a city takes."""
    offered = {"ps": sink.ps, "h264": sink.h264, "h265": sink.h265}
    return {name: offered[name] for name in FORMATS if offered[name]}
