"""What persons do on the console's pages: allowed and refused, with a reason, written down, and nothing by forgery."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from city.api.callers import COOKIE
from city.registry import alerts, people
from city.registry.tables import Alert, Approval, Concentrator, Hook, Layer, Peer, Person, Rollout, Site, Template
from netconf.enrolment import read_bundle
from tests import scene
from tests.consoled import BASE, Console

SITE = scene.site_id(0)
#: path -> (right, form): every act, but for those of persons, which have pages of their own.
ACTS: dict[str, tuple[str, dict[str, str]]] = {
    f"/sites/{scene.WAITS}/approve": ("enrol", {"code": "000000"}),
    f"/sites/{scene.WAITS}/refuse": ("enrol", {}),
    f"/sites/{scene.NEW}/claim": ("claim", {"days": "7"}),
    f"/sites/{SITE}/rotate": ("rotate", {"tunnel": "wg-b"}),
    f"/sites/{SITE}/reset": ("rotate", {"tunnel": "wg-a"}),
    f"/sites/{SITE}/revoke": ("revoke", {"again": SITE}),
    f"/sites/{SITE}/not-cloned": ("revoke", {}),
    f"/sites/{SITE}/edit": ("site", {"name": "x", "civil_code": "340202"}),
    "/sites/new": ("site", {"id": "34020200002008000555", "name": "x", "civil_code": "340202"}),
    "/approvals/1": ("approve", {"yes": "yes"}),
    "/revoke-all/ask": ("revoke", {}),
    "/revoke-all": ("revoke", {"again": "revoke-all"}),
    "/alerts/1/acknowledge": ("alert", {}),
    "/concentrators": ("concentrator", scene.prepared() | {"name": "城南", "plane": "wg-c", "endpoint": "192.0.2.7:51820"}),
    "/hooks": ("hook", {"kind": "webhook", "target": "https://192.0.2.9/x", "least": "error", "language": "en"}),
    "/hooks/1/remove": ("hook", {}),
    "/templates/new": ("template", {"name": "街道", "body": "[control]\naddress = '10.20.0.6'"}),
    "/templates/街道/3/ask": ("template", {}),
    "/templates/街道/1/retire": ("template", {}),
    "/templates/街道/2/rollout": ("rollout", {}),
    "/rollouts/1/start": ("rollout", {}),
    "/rollouts/1/pause": ("rollout", {}),
    "/rollouts/1/resume": ("rollout", {}),
    "/rollouts/1/roll_back": ("rollout", {}),
    "/people": ("person", {"name": "neu", "password": scene.PASSWORD, "role": "viewer"}),
    "/people/look": ("person", {"role": "operator", "scope": "3402"}),
} | {
    f"/concentrators/hub-a/{word}": ("concentrator", {})
    for word in ("drain", "undrain", "rotate", "exchange", "tell", "finish", "allow-smaller")
}  # fmt: skip


def rules(console: Console) -> set[str]:
    """Every form that the console takes."""
    app = console.client.application
    found = {rule.rule.removeprefix("/console") for rule in app.url_map.iter_rules()
             if rule.rule.startswith("/console/") and "POST" in (rule.methods or ())}  # fmt: skip
    return found - {"/login", "/logout", "/language", "/account"}


def test_the_list_of_acts_is_whole(console: Console) -> None:
    adapter = console.client.application.url_map.bind("city.example")
    matched = {adapter.match(f"/console{path}", method="POST", return_rule=True)[0].rule for path in ACTS}
    # What only says that nothing is there is no act.
    assert {rule.removeprefix("/console") for rule in matched} == rules(console) - {"/", "/<path:_rest>"}


def everything(console: Console) -> str:
    """What the registry holds, but for sessions and the record of who came in."""
    with console.store.read() as session:
        rows: list[Any] = []
        for table in (Site, Peer, Layer, Alert, Approval, Concentrator, Hook, Person, Rollout, Template):
            for row in session.query(table):
                rows.append([table.__name__, *(getattr(row, column.name) for column in table.__table__.columns)])
        return "\n".join(sorted(json.dumps(row, default=str) for row in rows))


@pytest.mark.parametrize("name", ["look", "wangfang", "system", "security", "audit"])
def test_each_act_is_refused_to_who_has_not_the_right(console: Console, name: str) -> None:
    console.enter(name)
    person, before = console.session_of(name), everything(console)
    assert person is not None
    refused = [path for path, (right, _) in ACTS.items() if not people.may(person, right)]  # type: ignore[arg-type]
    assert refused
    for path in refused:
        answer = console.post(path, **ACTS[path][1])
        assert (answer.status_code, "not_allowed" in answer.text) == (403, True), path
    assert everything(console) == before


def test_no_act_without_the_pages_word_the_right_origin_or_a_reason(console: Console) -> None:
    for name in ("wangfang", "system", "security"):
        console.enter(name)
        person, before = console.session_of(name), everything(console)
        assert person is not None
        for path, (right, form) in ACTS.items():
            if not people.may(person, right):  # type: ignore[arg-type]
                continue
            for forged in (
                console.post(path, **(form | {"csrf": ""})),
                console.post(path, **(form | {"csrf": people.page_word("token of another")})),
                console.post(path, headers={}, **form),
                console.post(path, headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, **form),
                console.post(path, headers={"Origin": "https://evil.example"}, **form),
            ):
                assert (forged.status_code, "csrf_missing" in forged.text) == (403, True), path
            for reason in ("", "  ", "x" * 201):
                answer = console.post(path, **(form | {"reason": reason}))
                assert 400 <= answer.status_code < 500, (path, reason, answer.status_code)
                assert "原因" in answer.text
        assert everything(console) == before


def test_what_touches_one_county_alone_is_nobodys_elses(console: Console) -> None:
    """The operator of 340221 acts on his sites; others do not exist for him, and a rollout reaches beyond him."""
    console.enter("xian-zhao")
    before = everything(console)
    for path in (f"/sites/{scene.WAITS}/approve", f"/sites/{scene.WAITS}/refuse", f"/sites/{SITE}/edit",
                 f"/sites/{scene.WAITS}/claim"):  # fmt: skip
        answer = console.post(path, **(ACTS.get(path, ("", {}))[1] | {"days": "7"}))
        assert (answer.status_code, "没有站点" in answer.text) == (404, True), path
    for path in ("/templates/街道/2/rollout", "/rollouts/1/pause"):
        assert "outside_scope" in console.post(path).text
    outside = console.post("/sites/new", id="34020200002008000777", name="x", civil_code="340202")
    assert "不在您的管辖范围" in outside.text
    foreign = next(row.id for row in opened(console) if row.subject == f"site:{scene.site_id(5)}")
    assert "alert_unknown" in console.post(f"/alerts/{foreign}/acknowledge").text
    assert everything(console) == before
    made = console.post("/sites/new", id="34022100002008000777", name="红杨小学", civil_code="34022108")
    assert made.status_code == 303
    mine = next(row.id for row in opened(console) if row.subject == f"site:{scene.site_id(7)}")
    assert console.post(f"/alerts/{mine}/acknowledge").status_code == 303


def opened(console: Console) -> list[Alert]:
    with console.store.read() as session:
        return list(session.query(Alert).filter(Alert.closed_at.is_(None)))


def test_a_scoped_system_administrator_leaves_the_citys_concentrators(console: Console) -> None:
    console.person("xian-sys", "system", "340221")
    console.enter("xian-sys")
    before = everything(console)
    for word in ("drain", "undrain", "rotate", "exchange", "tell", "finish", "allow-smaller"):
        answer = console.post(f"/concentrators/hub-a/{word}")
        assert (answer.status_code, "city_only" in answer.text) == (403, True)
    answer = console.post("/concentrators", **ACTS["/concentrators"][1])
    assert (answer.status_code, "city_only" in answer.text) == (403, True)
    assert everything(console) == before


def test_a_concentrator_is_added_with_what_its_host_printed(console: Console) -> None:
    console.enter("system")
    form = ACTS["/concentrators"][1]
    before = everything(console)
    for wrong, rule in (
        ({"prepared": "{"}, "concentrator_prepared"), ({"prepared": "[1]"}, "concentrator_prepared"),
        ({"prepared": json.dumps(json.loads(form["prepared"]) | {"network": "x"})}, "concentrator_prepared"),
        ({"prepared": json.dumps(json.loads(form["prepared"]) | {"csr": "x"})}, "concentrator_other_key"),
        ({"prepared": json.dumps(json.loads(form["prepared"]) | {"id": "hub-a"})}, "concentrator_taken"),
        ({"endpoint": "x"}, "concentrator_endpoint"), ({"plane": "WG"}, "concentrator_named"), ({"name": ""}, "concentrator_named"),
    ):  # fmt: skip
        answer = console.post("/concentrators", **(form | wrong))
        assert (400 <= answer.status_code < 500, rule in answer.text) == (True, True), (wrong, answer.text)
    assert everything(console) == before
    page = console.post("/concentrators", **form)
    assert page.status_code == 200
    assert page.text.count("-----BEGIN CERTIFICATE-----") == 3, "its own with the CA's after it, and the CA's"
    assert all(name in page.text for name in ("certificate.pem", "ca.pem", "city.pub"))
    assert "城南" in console.get("/concentrators").text
    line = console.lines("concentrator_add")[-1]
    assert (line.who, json.loads(line.detail)["reason"]) == ("system", "测试原因")


def test_the_page_of_keys_says_that_a_ca_is_being_renewed(console: Console) -> None:
    console.enter("security")
    assert "snowgate CA 2" not in console.get("/keys").text
    console.signer.renew_ca()
    assert "待切换的新 CA" in (page := console.get("/keys").text)
    assert "snowgate CA 2" in page


def test_a_box_is_let_in_by_the_second_person_with_its_digits(console: Console) -> None:
    console.enter("wangfang")
    page = console.get("/pending").text
    with console.store.read() as session:
        code, mine = session.get_one(Site, scene.WAITS).code, session.get_one(Site, scene.MINE).code
    assert code is not None
    assert mine is not None
    assert f"{code[:3]} {code[3:]}" in page
    assert f"/sites/{scene.WAITS}/approve" in page
    assert f"/sites/{scene.MINE}/approve" not in page, "she made this one: it is not offered"
    assert "second_person" in console.post(f"/sites/{scene.MINE}/approve", code=mine).text, "nor done"
    wrong = console.post(f"/sites/{scene.WAITS}/approve", code="000000")
    assert "校验码与设备显示的不一致" in wrong.text
    done = console.post(f"/sites/{scene.WAITS}/approve", code=f"{code[:3]} {code[3:]}", reason="电话核对无误")
    assert done.headers["Location"] == f"/console/sites/{scene.WAITS}?done=approved"
    assert "设备已批准" in console.get(f"/sites/{scene.WAITS}?done=approved").text
    line = console.lines("enrol.approve")[-1]
    assert (line.who, json.loads(line.detail)["reason"]) == ("wangfang", "电话核对无误")
    console.enter("lina")
    assert console.post(f"/sites/{scene.MINE}/refuse", reason="不是本单位设备").status_code == 303
    with console.store.read() as session:
        assert session.get_one(Site, scene.MINE).state == "new"


def test_a_site_is_made_and_its_bundle_is_shown_once(console: Console) -> None:
    console.enter("wangfang")
    made = console.post(
        "/sites/new", id="34020200002008000333", name="团结路", civil_code="34020201", carrier="电信", template="街道@1"
    )
    assert made.headers["Location"] == "/console/sites/34020200002008000333?done=site_made"
    page = console.post("/sites/34020200002008000333/claim", days="3")
    assert page.status_code == 200
    line = re.search(r"SNOWGATE1:[^<\s]+", page.text)
    assert line is not None
    bundle = read_bundle(line[0])
    assert (bundle.site, bundle.address, bundle.port) == ("34020200002008000333", "192.0.2.1", 8443)
    assert "<svg" in page.text
    assert 'class="qrline"' in page.text
    assert bundle.claim.split(".")[1] not in console.get("/sites/34020200002008000333").text
    for days in ("0", "31", "x", ""):
        assert console.post("/sites/34020200002008000333/claim", days=days).status_code in (200, 409)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"id": "123"}, "站点的 id 格式不符"),
        ({"id": "34020200002008000001"}, "已存在"),
        ({"name": ""}, "站点的 name 格式不符"),
        ({"civil_code": "34x"}, "格式不符"),
        ({"site_class": "9"}, "站点的 class 格式不符"),
        ({"template": "街道@3"}, "须先由第二人批准"),
        ({"template": "街道@x"}, "格式不符"),
        ({"template": "街道@99"}, "没有该模板版本"),
        ({"own": "{"}, "站点自有字段中不得包含"),
        ({"own": '{"lan": {}}'}, "站点自有字段中不得包含 lan"),
        ({"own": "[" * 5000}, "站点自有字段中不得包含"),
        ({"carrier": "x\u202ey"}, "格式不符"),
    ],
)
def test_a_wrong_site_is_a_sentence_and_the_form_keeps_what_was_written(
    console: Console, form: dict[str, str], said: str
) -> None:
    console.enter("wangfang")
    whole = {"id": "34020200002008000444", "name": "长江路", "civil_code": "340202", "own": "", "reason": "新装"} | form
    answer = console.post("/sites/new", **whole)
    assert 400 <= answer.status_code < 500
    assert said in answer.text
    if "name" not in form:
        assert 'value="长江路"' in answer.text
    with console.store.read() as session:
        assert session.get(Site, "34020200002008000444") is None


def test_an_active_site_that_is_changed_is_offered_a_layer(console: Console) -> None:
    console.enter("wangfang")
    with console.store.read() as session:
        before = session.get_one(Site, SITE).offered
    console.post(f"/sites/{SITE}/edit", name="渡江社区新址", civil_code="34020201", template="街道@1", reason="搬迁")
    with console.store.read() as session:
        row = session.get_one(Site, SITE)
        layer = session.get_one(Layer, (SITE, 1, row.offered))
    assert (row.name, row.offered) == ("渡江社区新址", before + 1)
    assert (layer.made_by, layer.reason) == ("wangfang", "搬迁")


def test_keys_are_exchanged_and_peers_reset_from_the_sites_page(console: Console) -> None:
    console.enter("system")
    page = console.get(f"/sites/{SITE}").text
    assert f"/sites/{SITE}/rotate" in page
    assert f"/sites/{SITE}/revoke" not in page, "not his to do, and not offered"
    assert console.post(f"/sites/{SITE}/rotate", tunnel="wg-b").status_code == 303
    assert "rotation_runs" in console.post(f"/sites/{SITE}/rotate", tunnel="wg-a").text
    assert "没有此隧道" in console.post(f"/sites/{SITE}/reset", tunnel="wg-x").text
    assert console.post(f"/sites/{SITE}/reset", tunnel="wg-a", reason="时钟倒退").status_code == 303
    line = console.lines("peer.reset")[-1]
    assert json.loads(line.detail) | {"revision": 0} == {"reason": "时钟倒退", "revision": 0, "tunnel": "wg-a"}
    degraded = scene.site_id(3)
    assert "other_tunnel_dead" in console.post(f"/sites/{degraded}/rotate", tunnel="wg-a").text


def test_a_site_is_revoked_by_who_names_it_once_more(console: Console) -> None:
    console.enter("security")
    assert "named_otherwise" in console.post(f"/sites/{SITE}/revoke", again="34").text
    assert console.post(f"/sites/{SITE}/revoke", again=SITE, reason="设备被盗").status_code == 303
    page = console.get(f"/sites/{SITE}").text
    assert "已吊销" in page
    assert f"/sites/{SITE}/revoke" not in page
    assert json.loads(console.lines("site.revoke")[-1].detail)["reason"] == "设备被盗"
    assert "site_revoked" in console.post(f"/sites/{SITE}/revoke", again=SITE).text


def test_to_revoke_all_two_must_agree(console: Console) -> None:
    console.enter("security")
    assert "revoke-all/ask" in console.get("/keys").text
    assert "approval_missing" in console.post("/revoke-all", again="revoke-all").text
    assert console.post("/revoke-all/ask").status_code == 303
    with console.store.read() as session:
        number = session.query(Approval).filter_by(action="revoke-all").one().id
    assert "second_person" in console.post(f"/approvals/{number}", yes="yes").text
    console.enter("security2")
    assert console.post(f"/approvals/{number}", yes="yes").status_code == 303
    assert "named_otherwise" in console.post("/revoke-all", again="yes").text
    assert console.post("/revoke-all", again="revoke-all").status_code == 303
    with console.store.read() as session:
        assert {row.state for row in session.query(Site)} == {"revoked", "pending", "new"}


def test_a_template_is_written_approved_previewed_and_rolled_out(console: Console) -> None:
    console.enter("system")
    body = json.dumps(scene.BODY | {"control": {"address": "10.20.0.7"}}, ensure_ascii=False)
    assert console.post("/templates/new", name="街道", body=body).headers["Location"].endswith("/4?done=template_made")
    preview = console.get("/templates/街道/4").text
    assert "/control/address" in preview
    assert "10.20.0.7" in preview
    assert "template_not_approved" in post_as(console, "wangfang", "/templates/街道/4/rollout").text
    console.enter("system")
    assert console.post("/templates/街道/4/ask").status_code == 303
    with console.store.read() as session:
        number = session.query(Approval).filter_by(subject="街道@4").one().id
    assert post_as(console, "security", f"/approvals/{number}", yes="yes").status_code == 303
    assert "rollout_runs" in post_as(console, "wangfang", "/templates/街道/4/rollout").text
    assert console.post("/rollouts/1/pause", reason="先看一晚").status_code == 303
    assert "rollout_state" in console.post("/rollouts/1/pause").text
    assert console.post("/rollouts/1/resume").status_code == 303
    assert console.post("/rollouts/1/roll_back").status_code == 303
    begun = console.post("/templates/街道/4/rollout", reason="换控制地址")
    assert begun.headers["Location"] == "/console/rollouts/2?done=rollout_begun"
    assert console.post("/rollouts/2/start").status_code == 303
    page = console.get("/rollouts/2").text
    assert "先看一晚" in console.get("/rollouts/1").text
    assert "/rollouts/2/pause" in page
    assert "/rollouts/2/start" not in page, "only what may be done from here is offered"


def test_what_a_box_would_refuse_of_a_template_is_said_before_anybody_approves_it(console: Console) -> None:
    console.enter("system")
    assert 'class="wrong"' not in console.get("/templates/街道/2").text
    bad = json.dumps({"platform": [scene.BODY["platform"][0] | {"id": "12"}]})
    assert console.post("/templates/new", name="街道", body=bad).status_code == 303
    page = console.get("/templates/街道/4")
    assert page.status_code == 200
    assert "/platform/0/id" in page.text
    assert "设备会拒绝" in page.text


def post_as(console: Console, name: str, path: str, **form: str) -> Any:
    console.enter(name)
    return console.post(path, **form)


@pytest.mark.parametrize(
    "body",
    ["", "{", "[[[", "x = 1979-05-27", '{"tunnel": []}', '{"lan": {}}', "[]", '{"a": NaN}', "a = inf", "[" * 9000],
)
def test_a_wrong_template_is_a_sentence_and_is_not_lost(console: Console, body: str) -> None:
    console.enter("system")
    answer = console.post("/templates/new", name="坏", body=body)
    assert 400 <= answer.status_code < 500
    assert "模板中不得包含" in answer.text or "原因" in answer.text
    with console.store.read() as session:
        assert session.query(Template).filter_by(name="坏").count() == 0


def test_an_alert_is_acknowledged_once_and_stays_open(console: Console) -> None:
    console.enter("wangfang")
    row = next(each for each in opened(console) if each.code == "site_dark")
    assert console.post(f"/alerts/{row.id}/acknowledge", reason="已派人").status_code == 303
    page = console.get("/alerts").text
    assert "已派人" in page
    assert f"/alerts/{row.id}/acknowledge" not in page
    with console.store.begin() as session:
        again = alerts.raise_(session, console.clock.now + 9, row.code, row.subject, "error", site="x")
        assert (again.id, again.acknowledged_by, again.closed_at) == (row.id, "wangfang", None)
        alerts.close(session, console.clock.now + 10, row.code, row.subject)
    assert "alert_unknown" in console.post(f"/alerts/{row.id}/acknowledge").text
    assert "alert_unknown" in console.post("/alerts/99999/acknowledge").text


def test_where_alerts_are_told_is_the_security_administrators(console: Console) -> None:
    console.enter("security")
    made = console.post("/hooks", kind="webhook", target="https://192.0.2.9/x", least="error", language="zh-CN")
    assert re.search(r"[0-9a-f]{64}", made.text)
    assert "192.0.2.9" in console.get("/alerts").text
    assert (
        "hook_target"
        in console.post("/hooks", kind="webhook", target="http://192.0.2.9/", least="error", language="en").text
    )
    with console.store.read() as session:
        (hook,) = session.query(Hook)
    assert console.post(f"/hooks/{hook.id}/remove").status_code == 303
    console.enter("system")
    assert "192.0.2.9" not in console.get("/alerts").text


def test_persons_are_the_security_administrators_and_never_his_own(console: Console) -> None:
    console.enter("security")
    added = console.post("/people", name="neu", password="short", role="viewer")
    assert "密码至少 12 个字符" in added.text
    assert "short" not in added.text
    assert (
        console.post("/people", name="neu", password="long enough now", role="viewer", scope="3402").status_code == 303
    )
    assert "role_unknown" not in console.get("/people").text
    for form, rule in (({"role": "root"}, "role_unknown"), ({"role": "viewer", "scope": "3"}, "scope_form")):
        assert rule in console.post("/people/neu", **form).text
    assert "person_self" in console.post("/people/security", role="audit").text
    assert "person_unknown" in console.post("/people/nobody", role="audit").text
    assert console.post("/people/neu", off="yes").status_code == 303
    neu = console.session_of("neu")
    assert neu is not None
    assert (neu.off, neu.role, neu.scope) == (True, "viewer", "3402")


def test_who_knows_his_password_may_choose_another(console: Console) -> None:
    console.enter("look")
    new = {"password": "quite another one", "repeated": "quite another one"}
    wrong = console.post("/account", old="wrong", **new)
    assert (wrong.status_code, "当前密码不正确" in wrong.text) == (409, True)
    assert (
        "两次输入的新密码不一致"
        in console.post("/account", old=scene.PASSWORD, password="a" * 12, repeated="b" * 12).text
    )
    assert console.post("/account", old=scene.PASSWORD, **new).headers["Location"].startswith("/console/login")
    assert console.get("/sites").status_code == 303, "he signs in anew"
    door = {"name": "look", "password": "quite another one"}
    assert console.post("/login", **door).status_code == 303


def test_the_door(console: Console) -> None:
    """A cookie that no script reads and no other page sends; five wrong ones lock; nobody learns why."""
    door = {"name": "wangfang", "password": scene.PASSWORD}
    assert console.post("/login", headers={}, **door).status_code == 403
    assert console.post("/login", headers={"Origin": "https://evil.example"}, **door).status_code == 403
    answer = console.post("/login", **door)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert console.get("/").status_code == 200
    word = re.search(r'name="csrf" value="([0-9a-f]{64})"', console.get("/").text)
    assert word is not None
    console.word = word[1]
    assert console.post("/logout").status_code == 303
    assert console.get("/").status_code == 303
    texts = set()
    for name in ("lina", "lina", "lina", "lina", "lina", "nobody"):
        wrong = console.post("/login", name=name, password="wrong")
        texts.add((wrong.status_code, wrong.text))
        console.clock.now += 10
    locked = console.post("/login", name="lina", password=scene.PASSWORD)
    texts.add((locked.status_code, locked.text))
    assert len(texts) == 1
    assert console.lines("person.locked")
    for _ in range(12):
        often = console.post("/login", name="lina", password="wrong")
    assert (often.status_code, "尝试过于频繁" in often.text) == (429, True)


def test_a_session_ends_and_a_person_who_is_off_is_out_at_once(console: Console) -> None:
    console.enter("wangfang")
    assert console.get("/").status_code == 200
    with console.store.begin() as session:
        people.edit(session, console.clock.now, "security", "wangfang", off=True)
    assert console.get("/").status_code == 303
    console.enter("lina")
    console.clock.now += people.IDLE_SECONDS + 1
    assert console.get("/").status_code == 303
    assert console.post(f"/sites/{SITE}/edit", name="x").status_code in (303, 401)


def test_the_language_is_kept_and_leads_nowhere_else(console: Console) -> None:
    for back in ("//evil.example/", "https://evil.example/console/", "/console/../x"):
        answer = console.post("/language", to="en", back=back)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/console/")
    assert "Sign in to the city" in console.client.get("/console/login", base_url=BASE).text
    assert "Set-Cookie" not in console.post("/language", to="fr", back="/console/sites").headers


def test_a_form_that_is_too_long_is_not_read(console: Console) -> None:
    console.enter("wangfang")
    answer = console.post("/sites/new", own="x" * (1 << 18))
    assert (answer.status_code, "body_long" in answer.text) == (413, True)
