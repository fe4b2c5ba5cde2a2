"""What can be wrong when a box comes to its city, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

_CLAIMS = {
    "claim_unknown": Words(
        "The city does not know this claim for this site.",
        "Ask the city for a new code for exactly this site.",
        "市平台没有该站点的这一注册码。",
        "请向市平台索取该站点的新注册码。",
    ),
    "claim_expired": Words(
        "The claim has run out, or a newer one was issued.",
        "Ask the city for a new code.",
        "注册码已过期，或已被新注册码取代。",
        "请向市平台索取新注册码。",
    ),
    "claim_used": Words(
        "Another box has used this claim already.",
        "If that was not you, tell the city: somebody had your code. It can issue another one.",
        "该注册码已被另一台设备使用。",
        "若非本人操作，请告知市平台：注册码可能泄露，可重新签发。",
    ),
    "claim_days": Words(
        "A claim is good for one to {most} days.",
        "Choose fewer days.",
        "注册码有效期为 1 至 {most} 天。",
        "请缩短天数。",
    ),
    "device_unknown": Words(
        "The city does not know this box for this site.",
        "Scan a new code of the city's.",
        "市平台未登记此设备属于该站点。",
        "请扫描市平台签发的新注册码。",
    ),
    "enrol_often": Words(
        "Too many requests to be enrolled came from this address.",
        "Wait some minutes; the box goes on by itself.",
        "该地址的注册请求过于频繁。",
        "请稍候数分钟，设备会自动继续。",
    ),
}

_TWINS = {
    "device_known": Words(
        "This box is another site's already: it shows that one's own key.",
        "Find out whether a disk was copied. A box that moves is reset to its factory state first, and the old site revoked.",
        "该设备已属于另一站点：其密钥相同。",
        "请查明是否克隆了磁盘。设备迁移前须恢复出厂，并吊销原站点。",
    ),
    "hardware_known": Words(
        "This hardware is another site's already.",
        "Find out which of the two is right; revoke the other.",
        "该硬件已登记在另一站点。",
        "请查明哪一个正确，并吊销另一个。",
    ),
    "key_known": Words(
        "A tunnel's key of this box is or was another's.",
        "Find out whether a disk was copied; a factory reset makes new keys.",
        "该设备的隧道密钥与其他设备相同或曾被使用。",
        "请查明是否克隆了磁盘；恢复出厂会生成新密钥。",
    ),
    "csr_other_key": Words(
        "The request for a certificate is for another key than the box's.",
        "Enrol the box again; if it happens again, look at what runs on it.",
        "证书请求的密钥与设备密钥不符。",
        "请重新注册；若再次发生，请检查设备上运行的程序。",
    ),
    "device_rekeyed": Words(
        "A box has lost its tunnels' keys and came with new ones: site {site}.",
        "If nobody restored or reset that box, revoke the site.",
        "设备丢失隧道密钥并换用新密钥：站点 {site}。",
        "如无人恢复或重置该设备，请吊销该站点。",
    ),
    "box_clock": Words(
        "The clock of the box of site {site} is {seconds} seconds off.",
        "Give the box a time server, or look at its battery.",
        "站点 {site} 设备的时钟相差 {seconds} 秒。",
        "请为设备配置时间服务器，或检查其电池。",
    ),
}

_PERSONS = {
    "site_not_pending": Words(
        "No box waits at this site.",
        "Let the box ask first; a new claim may be needed.",
        "该站点没有等待批准的设备。",
        "请先让设备发起注册，必要时重新签发注册码。",
    ),
    "second_person": Words(
        "Two persons are wanted for this, and you are the first.",
        "Ask somebody else to approve it.",
        "此操作需两人完成，您是第一人。",
        "请由他人批准。",
    ),
    "code_other": Words(
        "These are not the six digits that the box shows.",
        "Compare them with who stands at the box; if they differ, refuse the box.",
        "六位校验码与设备显示的不一致。",
        "请与现场人员核对；若不一致请拒绝该设备。",
    ),
    "no_concentrator": Words(
        "There is no concentrator in service for any of the box's tunnels ({tunnels}).",
        "Add a concentrator, or take one out of draining.",
        "没有可用的集中器承接该设备的隧道（{tunnels}）。",
        "请添加集中器，或恢复正在排空的节点。",
    ),
    "site_has_device": Words(
        "This site has an approved box.",
        "Revoke the site if its box is gone, and add it anew.",
        "该站点已有批准的设备。",
        "如设备已失，请吊销该站点并重新添加。",
    ),
}

CITY_ENROLMENT = _CLAIMS | _TWINS | _PERSONS
