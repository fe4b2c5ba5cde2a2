"""What can be wrong when a box and a city meet, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words, inside

CITY_ENROLMENT = {
    "bundle_form": Words(
        "That is no bundle of a city, or not all of it.",
        "Scan the whole code again, or copy the line whole: it begins with SNOWGATE1:.",
        "这不是完整的市平台注册信息。",
        "请重新扫码，或完整复制以 SNOWGATE1: 开头的一行。",
    ),
    "enrol_form": Words(
        "A box's request to be enrolled cannot be read.",
        "Update the box's software, then enrol it again.",
        "设备的注册请求无法解析。",
        "请升级设备软件后重新注册。",
    ),
    "enrol_unsigned": Words(
        "A request to be enrolled is not signed by the key that it names.",
        "Enrol the box again; if it happens again, somebody on the way has changed it.",
        "注册请求的签名与其密钥不符。",
        "请重新注册；若再次发生，说明请求在途中被篡改。",
    ),
    "peers_other_concentrator": inside("A list of peers is another concentrator's.", "对端列表属于另一个汇聚节点。"),
}
