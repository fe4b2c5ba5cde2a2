"""A concentrator is prepared, added and asks, with the commands that people type and the server as it runs."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from city.concentrator import config
from city.concentrator.link import Link, RegistryAway
from netconf import envelope, secrets
from tests.unit.city.test_city_process import City, city, run

__all__ = ["city"]

TEXT = """
id = "{id}"
network = "{network}"
address = "{address}"
folder = "{folder}/keys"
state = "{folder}/state"

[registry]
address = "127.0.0.1"
port = {port}

[[city]]
network = "10.1.0.0/24"
"""


def prepared(city: City, folder: Path, name: str, network: str, address: str) -> Path:
    folder.mkdir(parents=True)
    path = folder / "hub.toml"
    path.write_text(TEXT.format(id=name, network=network, address=address, folder=folder, port=city.port))
    said = run(city.folder, "concentrator", "prepare", "--config", str(path))
    assert said.returncode == 0, said.stderr
    (folder / "made.json").write_text(said.stdout)
    return path


@pytest.mark.timeout(400)
def test_a_concentrator_is_added_and_asks_for_itself_alone(city: City, tmp_path: Path) -> None:
    add = ("--plane", "wg-a", "--name", "东区", "--endpoint", "192.0.2.10:51820")
    links = []
    for name, network, address in (
        ("hub-a", "100.80.0.0/24", "100.80.0.1"),
        ("hub-b", "100.81.0.0/24", "100.81.0.1"),
    ):
        path = prepared(city, tmp_path / name, name, network, address)
        made = str(tmp_path / name / "made.json")
        keys = tmp_path / name / "keys"
        (keys / "certificate.pem").write_text(city.command("concentrator", "add", made, *add, who="system"))
        (keys / "ca.pem").write_bytes((city.folder / "signing" / "ca.pem").read_bytes())
        found, _ = config.read(path)
        assert found is not None
        links.append(Link(found))
    first = links[0]
    answer = first.snapshot()
    raw = json.loads(base64.b64decode(json.loads(answer.text)["payload"]))
    assert (answer.kind, raw["concentrator"], raw["peers"]) == ("envelope", "hub-a", [])
    assert first.changes(raw["epoch"], 7).kind == "snapshot"
    slots = [[secrets.public_key(secrets.read_wireguard_key(tmp_path / "hub-a" / "keys", "wg-hub0")), 51820, 0]]
    assert first.report({"revision": 0, "slots": slots}) == {"make_key": False, "serve": [slots[0][0]]}
    with pytest.raises(RegistryAway, match="concentrator_report"):
        first.report({"revision": "x"})
    links[1]._base = first._base
    with pytest.raises(RegistryAway, match="403 concentrator_not_yours"):
        links[1].snapshot()
    with pytest.raises(envelope.EnvelopeRefused):
        key = envelope.Ed25519PublicKey.from_public_bytes(bytes(32))
        envelope.open_peers(answer.text, key, concentrator="hub-a")
    listed = [json.loads(line)["id"] for line in one_a_line(city.command("concentrator", "list", who="audit"))]
    assert listed == ["hub-a", "hub-b"]
    city.command("concentrator", "rotate", "hub-b", who="system")
    assert "concentrator_one_key" in city.command("concentrator", "exchange", "hub-b", who="system", fails=True)
    made = str(tmp_path / "hub-a" / "made.json")
    assert "not_allowed" in city.command("concentrator", "certificate", "hub-a", made, who="security", fails=True)


def one_a_line(text: str) -> list[str]:
    """JSON objects that are printed one after the other, each as one line."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, end = decoder.raw_decode(text[at:])
        found.append(json.dumps(value))
        at += end
    return found


def test_a_file_that_is_wrong_is_said_and_nothing_is_made(city: City, tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text("id = 3\n")
    for word in ("prepare", "run"):
        said = run(city.folder, "concentrator", word, "--config", str(path))
        assert said.returncode == 1
        assert "(hub_config_field)" in said.stderr
        assert "Traceback" not in said.stderr
    assert list(tmp_path.iterdir()) == [path]
