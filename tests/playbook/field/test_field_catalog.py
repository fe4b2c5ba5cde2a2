"""What operators complain about, row by row: catalogs, trees, ids, texts, recordings."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.cityside.issued import IssuedIds
from edge.cityside.tree import Tree
from edge.gb28181.reports import Answered, CatalogReceived
from edge.manscdp.catalog import CatalogEntry, CatalogResponse
from edge.manscdp.messages import decode, encode
from edge.manscdp.recordings import RecordInfoQuery, RecordInfoResponse, Recording
from edge.records.types import CatalogItem, OrderDone, RecordItem, RecordQuery
from edge.siteside.orders import IDLE_SECONDS, SiteOrders
from netconf.check import read_site
from netconf.model import Site
from tests.playbook.gb28181.test_roles import CAMERA, DEVICE, NVR_ID, PLATFORM, Wire, entries

TEXT = (Path(__file__).parents[3] / "edge/lab/site.toml").read_text(encoding="utf-8")


def site(text: str = TEXT) -> Site:
    found, wrong = read_site(text)
    assert found is not None, wrong
    return found


def test_row_05_a_catalog_of_thousands_comes_whole_and_no_later_message_empties_it() -> None:
    """Catalogs stop at N items, and an unasked one-item catalog wipes the list."""
    wire = Wire()
    wire.device.set_catalog(entries(2100), wire.now)
    wire.registered()
    (received,) = wire.of(CatalogReceived)
    assert received.complete
    assert received.items == entries(2100)
    wire.heard.clear()
    one = encode(CatalogResponse(4711, NVR_ID, 1, (CatalogEntry(CAMERA, name="new"),)))
    wire.device._reply(decode(one), wire.now)
    wire.carry()
    assert [(r.complete, len(r.items)) for r in wire.of(CatalogReceived)] == [(False, 1)], "it adds, and ends nothing"


@pytest.mark.parametrize("switches", ["", "system", "groups", "divisions", "system groups divisions"])
def test_row_06_each_channel_names_its_parent_and_its_division_in_every_tree(switches: str) -> None:
    """Channels vanish above or the tree is flat: what stands over them has switches, what they hang on is always said."""
    issued = "34020000001318000001"
    group = f'[[platform.tree.group]]\nid = "34020000002158000001"\nname = "出入口"\nmembers = ["{issued}"]\n'
    on = "".join(f"{name} = true\n" for name in switches.split())
    found = site(TEXT.replace("[control]", f"[platform.tree]\n{on}{group}\n[control]"))
    tree = Tree(found, found.platform[0])
    entry = tree.entry(issued, CatalogItem(NVR_ID, CAMERA, "北门", "", "", 0, 1))
    nodes = [node.device_id for node in tree.nodes()]
    assert entry.civil_code == "340200"
    assert entry.parent_id.split("/")[0] == found.site.id
    assert ("34020000002158000001" in entry.parent_id) == ("groups" in switches)
    assert (found.site.id in nodes, "34020000002158000001" in nodes, "340200" in nodes) == (
        "system" in switches, "groups" in switches, "divisions" in switches,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('<?xml version="1.0" encoding="GB2312"?>', "淼㐂门"),
        ('<?xml version="1.0" encoding="GB2312"?>', "镕"),
        ('<?xml version="1.0" encoding="utf-8"?>', "北门"),
        ("", "北门"),
    ],
)
@pytest.mark.parametrize("written", ["gb18030", "utf-8"])
def test_row_10_names_are_read_whatever_charset_is_declared_and_broken_xml_is_mended(
    body: str, name: str, written: str
) -> None:
    """Rare characters, a wrongly declared charset, NULs and a tag too many lose whole catalogs elsewhere."""
    text = (
        f"{body}<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>{NVR_ID}</DeviceID><SumNum>1</SumNum>"
        f'<DeviceList Num="1"><Item><DeviceID>{CAMERA}</DeviceID><Name>{name}</Name></Item></Item></DeviceList></Response>\0'
    )
    notes: list[str] = []
    read = decode(text.encode(written), notes)
    assert isinstance(read, CatalogResponse)
    assert [item.name for item in read.items] == [name]
    assert notes, "and what was wrong is noted"
    again = decode(encode(read, 2016, "GB18030"))
    assert isinstance(again, CatalogResponse)
    assert again.items == read.items


@pytest.mark.parametrize(("ours", "theirs"), [(2016, 2016), (2016, 2022), (2022, 2016), (2022, 2022)])
def test_row_11_each_side_speaks_what_the_other_understands(ours: int, theirs: int) -> None:
    """Recorders of 2022 and platforms of 2016 do not understand each other: X-GB-Ver decides, per peer."""
    wire = Wire(replace(DEVICE, edition=ours), replace(PLATFORM, edition=theirs)).registered()
    spoken = min(ours, theirs)
    assert wire.platform.edition_of(NVR_ID) == spoken
    assert wire.device.edition == spoken


def recordings(at: int, count: int) -> tuple[Recording, ...]:
    first = 1_793_462_400
    return tuple(Recording(CAMERA, f"{n}", first + 60 * n, first + 60 * n + 59) for n in range(at, at + count))


class Recorder:
    """Stands for the platform role: it takes what is asked, and answers are given by hand."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def ask(self, device: str, make: Any, now: float) -> int:
        self.asked.append(make(len(self.asked) + 1))
        return len(self.asked)


def test_row_12_recordings_go_on_as_they_come_and_only_silence_ends_the_query() -> None:
    """A query of days times out or loses items: each page goes on at once, and what is missing is asked for again."""
    recorder, sent = Recorder(), []
    orders = SiteOrders(recorder, sent.append, Counter())  # type: ignore[arg-type]
    orders.ask(RecordQuery(9, "2" * 20, NVR_ID, CAMERA, "", 1_793_462_400, 1_793_635_200, "all"), 0.0)
    (asked,) = recorder.asked
    assert isinstance(asked, RecordInfoQuery)
    now = 0.0
    for page in range(30):
        now += IDLE_SECONDS - 1
        orders.handle_timer(now)
        orders.on_event(Answered(NVR_ID, 1, RecordInfoResponse(1, CAMERA, "", 3000, recordings(page * 50, 50))), now)
        assert len([each for each in sent if isinstance(each, RecordItem)]) == 50 * (page + 1), "nothing waits"
    assert not [each for each in sent if isinstance(each, OrderDone)], "slow is not silent"
    orders.handle_timer(now + IDLE_SECONDS + 1)
    assert recorder.asked[1].start >= recordings(1499, 1)[0].end, "the rest is asked for, from where it broke off"
    orders.handle_timer(now + 3 * IDLE_SECONDS)
    assert isinstance(sent[-1], OrderDone)


def test_row_20_one_channel_id_of_two_recorders_is_two_ids_above(tmp_path: Path) -> None:
    """Two recorders number their cameras alike: the platform gets ids of ours, for ever the same."""
    ids = IssuedIds(tmp_path / "ids.json", "34020000002008000001")
    assert ids.issue([(NVR_ID, CAMERA), ("34020000001180000009", CAMERA)])
    one, other = ids.of(NVR_ID, CAMERA), ids.of("34020000001180000009", CAMERA)
    assert one != other
    again = IssuedIds(tmp_path / "ids.json", "34020000002008000001")
    assert again.of("34020000001180000009", CAMERA) == other


@pytest.mark.parametrize("count", [1, 7, 300])
def test_row_23_no_page_over_udp_is_longer_than_1300_octets(count: int) -> None:
    """Messages over the MTU travel in pieces, and tunnels and firewalls lose pieces."""
    wire = Wire()
    wire.device.set_catalog(
        [replace(entry, name="很长的名称" * 8, address="幸福小区东门") for entry in entries(count)], wire.now
    )
    wire.registered()
    assert len(wire.of(CatalogReceived)[0].items) == count
    assert max(len(data) for data in wire.sent) <= 1300
