"""A box comes to its city: who gets in, who does not, and that asking twice changes nothing."""

from __future__ import annotations

import json
import threading

import pytest
from cryptography import x509
from sqlalchemy import select

from city.registry import audit, claims, enrolment, peers, platforms, revocation, sites
from city.registry.refused import RegistryRefused
from city.registry.signer import Signer, SignerAway
from city.registry.store import Store
from city.registry.tables import Alert, Certificate, Claim, Layer, Meta, Peer, Person, Site
from city.signing import keys
from netconf import envelope, words
from netconf.enrolment import code
from tests.enrolling import NOW, OTHER, PLATFORM, SITE, Box, add_site, approve, csr, der, found, wg

DAY = 86_400.0


def rule(caught: pytest.ExceptionInfo[RegistryRefused]) -> str:
    assert words.of(caught.value.rule) is not None
    return caught.value.rule


def alerts(store: Store) -> list[str]:
    with store.read() as session:
        return list(session.scalars(select(Alert.code).order_by(Alert.id)))


def test_a_box_is_let_in_by_a_second_person_with_all_that_it_needs(
    store: Store, signer: Signer, city_keys: keys.Keys
) -> None:
    found(store)
    claim, box = add_site(store), Box()
    for _ in range(2):
        assert box.ask(store, signer, claim).body == {"state": "pending"}
    with store.read() as session:
        assert session.get_one(Site, SITE).code == code(city_keys.ca_hash, box.key.public_key(), claim)
        assert [site.id for site in enrolment.waiting(session)] == [SITE]
    approve(store, signer)
    answer = box.ask(store, signer, "")
    assert answer.body["state"] == "approved"
    leaf = x509.load_pem_x509_certificate(answer.body["certificate"].encode())
    assert leaf.public_key() == box.key.public_key()
    assert leaf.subject.rfc4514_string() == f"CN=site:{SITE}"
    device = enrolment.device_hash(box.key.public_key())
    layer = envelope.open_layer(
        answer.body["layer"], city_keys.city.public_key(), site=SITE, device=device, highest=(0, 0), now=NOW
    )
    assert [tunnel["name"] for tunnel in layer.layer["tunnel"]] == ["wg-a", "wg-b"]
    assert layer.sealed
    with store.read() as session:
        assert {peer.public_key for peer in session.scalars(select(Peer))} == {wg(1, 1), wg(1, 2)}
        assert audit.verify(session)[1] is None
    assert box.ask(store, signer, claim).body == answer.body, "asking again makes no second certificate"
    assert alerts(store) == []


def test_who_made_the_site_may_not_approve_its_box(store: Store, signer: Signer) -> None:
    found(store)
    Box().ask(store, signer, add_site(store))
    with pytest.raises(RegistryRefused) as caught:
        approve(store, signer, who="li")
    assert rule(caught) == "second_person"
    with store.read() as session:
        assert (session.get_one(Site, SITE).state, session.scalar(select(Certificate))) == ("pending", None)
    approve(store, signer, who="sec")


def test_the_digits_are_those_that_the_box_shows(store: Store, signer: Signer) -> None:
    found(store)
    Box().ask(store, signer, add_site(store))
    with pytest.raises(RegistryRefused) as caught, store.begin() as session:
        enrolment.approve(session, signer, NOW, "wang", session.get_one(Site, SITE), "000000x")
    assert rule(caught) == "code_other"


def test_an_approval_that_cannot_be_whole_is_none(store: Store, signer: Signer) -> None:
    found(store, hubs=False)
    Box().ask(store, signer, add_site(store))
    with pytest.raises(RegistryRefused) as caught:
        approve(store, signer)
    assert rule(caught) == "no_concentrator"

    class Away:
        def __getattr__(self, name: str) -> object:
            raise SignerAway

    with pytest.raises(SignerAway):
        approve(store, Away())  # type: ignore[arg-type]
    with store.read() as session:
        assert session.get_one(Site, SITE).state == "pending"
        assert session.scalars(select(Peer)).all() == []


def test_c01_of_two_boxes_with_one_claim_one_wins(store: Store, signer: Signer) -> None:
    found(store)
    claim, boxes = add_site(store), [Box(number) for number in range(1, 7)]
    answers: list[tuple[int, str]] = []
    start = threading.Barrier(len(boxes))

    def come(box: Box) -> None:
        start.wait()
        said = box.ask(store, signer, claim)
        answers.append((said.status, said.body.get("rule", said.body["state"])))

    threads = [threading.Thread(target=come, args=(box,)) for box in boxes]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(answers) == [(200, "pending"), *[(409, "claim_used")] * 5]
    assert alerts(store) == ["claim_used"]


@pytest.mark.parametrize(
    ("said", "claim"),
    [
        ("claim_unknown", "00000000." + "b" * 26),
        ("claim_unknown", None),
        ("device_unknown", ""),
    ],
)
def test_c01_another_sites_claim_a_guess_and_none_at_all(
    store: Store, signer: Signer, said: str, claim: str | None
) -> None:
    found(store)
    own, other = add_site(store), add_site(store, OTHER)
    box = Box()
    assert box.ask(store, signer, other if claim is None else claim).body == {"state": "refused", "rule": said}
    guess = own[:9] + "c" * 26
    assert box.ask(store, signer, guess).body["rule"] == "claim_unknown"
    unknown = Box(site="34020000002000000777").ask(store, signer, own)
    assert (unknown.status, unknown.body["rule"]) == (403, "claim_unknown")
    assert box.ask(store, signer, own).body == {"state": "pending"}


def test_c01_a_claim_ends_and_a_new_one_makes_the_old_void(store: Store, signer: Signer) -> None:
    found(store)
    old, box = add_site(store), Box()
    assert box.ask(store, signer, old, NOW + 7 * DAY).body["rule"] == "claim_expired"
    with store.begin() as session:
        claims.issue(session, NOW + 1, "li", session.get_one(Site, SITE), "11111111." + "b" * 26)
    assert box.ask(store, signer, old, NOW + 2).body["rule"] == "claim_expired"
    assert box.ask(store, signer, "11111111." + "b" * 26, NOW + 2).body["state"] == "pending"
    assert box.ask(store, signer, "11111111." + "b" * 26, NOW + 30 * DAY).body["state"] == "pending", "it waits"


def test_a_new_claim_turns_away_the_device_that_waits(store: Store, signer: Signer) -> None:
    found(store)
    old, stranger, box = add_site(store), Box(66), Box(1)
    stranger.ask(store, signer, old)
    fresh = "11111111." + "b" * 26
    with store.begin() as session:
        claims.issue(session, NOW + 1, "li", session.get_one(Site, SITE), fresh)
    assert stranger.ask(store, signer, old, NOW + 2).body["rule"] == "claim_expired"
    assert box.ask(store, signer, fresh, NOW + 2).body["state"] == "pending"
    with store.read() as session:
        assert session.get_one(Site, SITE).device == enrolment.device_hash(box.key.public_key())


def test_a_box_that_was_refused_needs_another_claim(store: Store, signer: Signer) -> None:
    found(store)
    claim, box = add_site(store), Box()
    box.ask(store, signer, claim)
    with store.begin() as session:
        enrolment.refuse(session, NOW + 1, "wang", session.get_one(Site, SITE), "别的设备")
    assert box.ask(store, signer, claim, NOW + 2).body["rule"] == "claim_expired"
    with store.read() as session:
        assert session.get_one(Site, SITE).state == "new"


@pytest.mark.parametrize("what", ["hardware_known", "key_known", "device_known"])
@pytest.mark.parametrize("state", ["pending", "active", "revoked"])
def test_w03_what_another_site_has_already_is_refused_by_name(
    store: Store, signer: Signer, what: str, state: str
) -> None:
    found(store)
    first = Box(1)
    first.ask(store, signer, add_site(store))
    if state != "pending":
        approve(store, signer)
    if state == "revoked":
        with store.begin() as session:
            revocation.revoke(session, signer, session.get_one(Site, SITE), "sec", "stolen", NOW)
    claim, copy = add_site(store, OTHER), Box(2, OTHER)
    if what == "hardware_known":
        copy.changed["fingerprint"] = first.request("").fingerprint
    elif what == "key_known":
        copy.changed["wireguard"] = {"wg-a": wg(2, 1), "wg-b": wg(1, 1)}
    else:
        copy.key = first.key
    answer = copy.ask(store, signer, claim)
    assert (answer.status, answer.body) == (409, {"state": "refused", "rule": what})
    assert alerts(store) == [what]
    with store.read() as session:
        assert session.scalar(select(Claim.device).where(Claim.site == OTHER)) is None, "the claim is not used up"
        alert = session.scalars(select(Alert)).one()
        assert json.loads(alert.args) == {"other": SITE, "site": OTHER}
    assert Box(3, OTHER).ask(store, signer, claim).body == {"state": "pending"}


def test_w03_two_that_wait_with_one_key_are_not_both_let_in(store: Store, signer: Signer) -> None:
    found(store)
    Box(1).ask(store, signer, add_site(store))
    Box(2, OTHER).ask(store, signer, add_site(store, OTHER))
    with store.begin() as session:  # as if both had come in one moment
        session.get_one(Site, OTHER).asked_keys = session.get_one(Site, SITE).asked_keys
    approve(store, signer)
    with pytest.raises(RegistryRefused) as caught:
        approve(store, signer, OTHER)
    assert caught.value.rule == "key_taken"


def test_a_request_for_another_keys_certificate_is_refused(store: Store, signer: Signer) -> None:
    found(store)
    claim, box = add_site(store), Box()
    answer = box.ask(store, signer, claim, csr=csr(Box().key))
    assert (answer.status, answer.body["rule"]) == (403, "csr_other_key")
    assert box.ask(store, signer, claim, csr="-----BEGIN").body["rule"] == "csr_other_key"
    box.ask(store, signer, claim)
    assert box.ask(store, signer, claim, csr=csr(Box().key)).body["rule"] == "csr_other_key"


def test_c04_a_revoked_box_hears_that_it_is_with_whatever_it_kept(
    store: Store, signer: Signer, city_keys: keys.Keys
) -> None:
    found(store)
    claim, box = add_site(store), Box()
    box.ask(store, signer, claim)
    approve(store, signer)
    with store.begin() as session:
        revocation.revoke(session, signer, session.get_one(Site, SITE), "sec", "被盗", NOW + 5)
    for kept in (claim, ""):
        answer = box.ask(store, signer, kept, NOW + 6)
        assert answer.body["state"] == "revoked"
        device = enrolment.device_hash(box.key.public_key())
        said = envelope.open_revocation(
            answer.body["revocation"], city_keys.city.public_key(), site=SITE, device=device
        )
        assert said == (int(NOW) + 5, "被盗")
    assert Box(9).ask(store, signer, claim, NOW + 6).body["rule"] == "claim_used"
    with store.read() as session:
        assert all(row.revoked_at == NOW + 5 for row in session.scalars(select(Certificate)))
        site = session.get_one(Site, SITE)
        assert enrolment.renew(session, signer, NOW + 6, site, csr(box.key)) is None


def test_a_certificate_near_its_end_is_made_anew_and_for_its_own_key_alone(store: Store, signer: Signer) -> None:
    found(store)
    box = Box()
    box.ask(store, signer, add_site(store))
    approve(store, signer)
    with store.begin() as session:
        site = session.get_one(Site, SITE)
        first = enrolment.renew(session, signer, NOW, site, csr(box.key))
        assert enrolment.renew(session, signer, NOW + 29 * DAY, site, csr(box.key)) == first
        second = enrolment.renew(session, signer, NOW + 31 * DAY, site, csr(box.key))
        assert second not in (first, None)
        assert enrolment.renew(session, signer, NOW, site, csr(Box().key)) is None


def test_a_certificate_from_a_clock_that_ran_ahead_is_not_given_again(store: Store, signer: Signer) -> None:
    """By the right clock it is not valid yet, for years perhaps: the box would be turned away so long."""
    found(store)
    box = Box()
    box.ask(store, signer, add_site(store))
    approve(store, signer)
    with store.begin() as session:
        site = session.get_one(Site, SITE)
        first = enrolment.renew(session, signer, NOW, site, csr(box.key))
        row = session.scalars(select(Certificate).where(Certificate.subject == f"site:{SITE}")).one()
        row.begins_at, row.ends_at = row.begins_at + 365 * DAY, row.ends_at + 365 * DAY
        session.flush()
        second = enrolment.renew(session, signer, NOW + DAY, site, csr(box.key))
        assert second not in (first, None)
        assert enrolment.renew(session, signer, NOW + 2 * DAY, site, csr(box.key)) == second


def test_a_box_that_lost_its_tunnels_keys_comes_back_by_its_own(store: Store, signer: Signer) -> None:
    found(store)
    box = Box()
    claim = add_site(store)
    box.ask(store, signer, claim)
    approve(store, signer)
    renewed = {"wg-a": wg(7, 1), "wg-b": wg(7, 2)}
    answer = box.ask(store, signer, "", NOW + 100 * DAY, wireguard=renewed, time=int(NOW + 100 * DAY))
    assert answer.body["state"] == "approved"
    with store.read() as session:
        assert {peer.public_key for peer in session.scalars(select(Peer))} == set(renewed.values())
        assert session.scalar(select(Layer.revision).order_by(Layer.revision.desc())) == 2
    assert alerts(store) == ["device_rekeyed"]
    old = box.ask(store, signer, "", NOW + 101 * DAY, time=int(NOW + 101 * DAY))
    assert old.body["rule"] == "key_known", "a key that was spent does not come back: an old request is nothing"
    with store.begin() as session, pytest.raises(RegistryRefused):
        peers.take_key(session, wg(1, 1), OTHER)


def test_f20_a_clock_that_is_wrong_is_told_and_nothing_else(store: Store, signer: Signer) -> None:
    found(store)
    assert Box().ask(store, signer, add_site(store), time=0).body == {"state": "pending"}
    assert alerts(store) == ["box_clock"]


def test_a_platforms_own_program_is_told_the_password_that_the_box_gets(store: Store, signer: Signer) -> None:
    found(store)
    program, box = Box(), Box()
    with store.begin() as session:
        session.add(Meta(name=platforms.KEY + PLATFORM, value=der(program.key.public_key())))
    box.ask(store, signer, add_site(store))
    approve(store, signer)
    with store.read() as session:
        from city.registry import feeds

        (entry,) = feeds.after(session, platforms.FEED, 0, 10) or ()
        layer = session.scalars(select(Layer)).one()
    from netconf import sealed

    told = sealed.unseal(entry.body["password"], program.key, "platform " + SITE).decode()
    pieces = [json.loads(sealed.unseal(each, box.key, "box " + SITE)) for each in layer.sealed.split(" ")]
    assert {name: word for piece in pieces for name, word in piece.get("sip", {}).items()} == {PLATFORM: told}
    assert {name for piece in pieces for name in piece["psk"]} == {"wg-a", "wg-b"}


def test_a_person_sees_and_touches_the_sites_of_his_scope_alone(store: Store, signer: Signer) -> None:
    found(store)
    add_site(store)
    with store.begin() as session:
        from tests.enrolling import person

        near, far = person(session, "near", "operator", "3402"), person(session, "far", "operator", "3403")
        assert sites.get(session, near, SITE).id == SITE
        assert [row.id for row in sites.page(session, near)] == [SITE]
        assert sites.page(session, far) == []
        with pytest.raises(RegistryRefused) as caught:
            sites.get(session, far, SITE)
        assert rule(caught) == "site_unknown"
        with pytest.raises(RegistryRefused) as caught:
            sites.add(session, NOW, far, sites.Facts(OTHER, "x", "340200"))
        assert rule(caught) == "outside_scope"
        _ = session.get(Person, "far")


def test_c04_a_site_that_was_revoked_before_its_box_came_says_so_to_who_has_its_claim(
    store: Store, signer: Signer
) -> None:
    """As after a restore: the registry knows of the revocation, and nothing of the box that was in."""
    found(store)
    claim, box = add_site(store), Box()
    with store.begin() as session:
        revocation.revoke(session, signer, session.get_one(Site, SITE), "sec", "被盗", NOW + 5)
    for _ in range(2):
        answer = box.ask(store, signer, claim, NOW + 6)
        assert (answer.status, answer.body) == (403, {"state": "refused", "rule": "site_revoked"})
    guess = claim[:8] + "." + "b" * 26
    assert box.ask(store, signer, guess, NOW + 6).body["rule"] == "claim_unknown", "a guess learns nothing"
    assert box.ask(store, signer, "", NOW + 6).body["rule"] == "device_unknown"
    with store.read() as session:
        site = session.get_one(Site, SITE)
        assert (site.state, site.device) == ("revoked", None)
