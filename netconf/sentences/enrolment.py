"""How a box and a city come together, and what keeps them apart; as the installer, the owner and the city read it."""

from __future__ import annotations

from netconf.sentences.form import Words

_TELL = ("Tell the city.", "请告知市级平台。")

ENROLMENT = {
    "city_part_missing": Words(
        "The city's part of the site is not whole: {name} is missing.",
        "Give site, tunnel and platform together, or none of them: then the box waits to be enrolled.",
        "站点的市级部分不完整：缺少 {name}。",
        "请同时提供 site、tunnel 和 platform，或都不提供（设备将等待登记）。",
    ),
    "not_enrolled": Words(
        "This box is not enrolled with a city yet.",
        "Run `snowgate enrol` with the bundle that the city gave you.",
        "尚未注册到市平台。",
        "请用市级平台提供的登记包执行 snowgate enrol。",
    ),
    "enrol_waits": Words(
        "The city has been asked and a person there must approve this box: the code is {digits}.",
        "Read the code to the city; it must show the same one.",
        "已向市级平台申请，等待人工核准：核对码 {digits}。",
        "请将核对码告知市级平台，两边须一致。",
    ),
    "enrol_asking": Words(
        "The city is being asked to enrol this box.",
        "If this stays for minutes: does the uplink work, and is the address of the bundle right?",
        "正在向市级平台申请登记。",
        "若持续数分钟：请检查上联网络和登记包中的地址。",
    ),
    "enrol_trying": Words(
        "The city has approved this box; its configuration is being tried.",
        "If this stays for minutes: is UDP to the city's tunnel let through?",
        "市级平台已核准，正在试用其配置。",
        "若持续数分钟：请检查到市级隧道的 UDP 是否放行。",
    ),
    "enrol_refused": Words(
        "The city refused to enrol this box.",
        "Ask the city for the reason, and for a new bundle.",
        "市级平台拒绝登记本设备。",
        "请向市级平台询问原因，并索取新的登记包。",
    ),
    "enrol_away": Words(
        "The city's enrolment does not answer.",
        "Does the uplink work, and is the address of the bundle right?",
        "市级登记服务无应答。",
        "请检查上联网络和登记包中的地址。",
    ),
    "enrol_answer": Words(
        "The city's enrolment answered with something else than agreed.", _TELL[0], "市级登记服务的应答不符合约定。", _TELL[1]
    ),
    "enrol_hole_shut": Words(
        "The keeper did not open the way to the city's enrolment.",
        "Is the box's user snowgate-enrol there? Run systemd-sysusers.",
        "守护进程未开放到市级登记服务的通路。",
        "设备上是否有用户 snowgate-enrol？请运行 systemd-sysusers。",
    ),
    "enrol_certificate_kept": Words(
        "The city has given this box its certificate.", "", "市级平台已签发本设备的证书。", ""
    ),
    "revoked": Words(
        "The city has revoked this box.",
        "It gets no tunnel any more. Ask the city; the box asks once a day by itself.",
        "本设备已被撤销。",
        "设备不再有隧道。请联系市级平台；设备每天自动询问一次。",
    ),
    "bundle_form": Words(
        "This is no bundle of a city, or it is cut off.",
        "Copy the whole line, which begins with SNOWGATE1:, or scan the code again.",
        "这不是完整的市级登记包。",
        "请复制以 SNOWGATE1: 开头的整行，或重新扫码。",
    ),
    "bundle_other_city": Words(
        "This box belongs to another city already.",
        "Only after a factory reset does it take another city's bundle.",
        "本设备已属于另一市级平台。",
        "恢复出厂设置后才能使用其他市级平台的登记包。",
    ),
    "bundle_other_site": Words(
        "This box is enrolled as another site.",
        "Only after a factory reset does it become another site.",
        "本设备已登记为另一站点。",
        "恢复出厂设置后才能登记为其他站点。",
    ),
    "enrol_form": Words("A box's request is not of the agreed form.", _TELL[0], "设备的登记申请格式不符。", _TELL[1]),
    "enrol_unsigned": Words(
        "A box's request is not signed by its own key.", _TELL[0], "设备的登记申请未由其密钥签名。", _TELL[1]
    ),
    "peers_other_concentrator": Words(
        "A list of peers is for another concentrator.", _TELL[0], "对端列表属于另一集中器。", _TELL[1]
    ),
    "seal_broken": Words(
        "The secrets in the city's configuration are not for this device.",
        "The city must seal and sign them anew.",
        "市级配置中的密钥不是发给本设备的。",
        "请市级平台重新加密并签发。",
    ),
    "secrets_not_kept": Words(
        "The disk does not take the secrets of the configuration.",
        "Is the disk full or damaged?",
        "磁盘无法保存配置中的密钥。",
        "请检查磁盘是否已满或损坏。",
    ),
    "ca_other": Words(
        "Whoever answers at the city's address has another CA than the bundle names; nothing was sent to it.",
        "Somebody may be in between. Tell the city.",
        "市级地址应答方的 CA 与登记包不符，未向其发送任何内容。",
        "可能有人中间拦截。请告知市级平台。",
    ),
    "city_ca_renewed": Words(
        "The city has renewed its CA, signed by its key; this box believes the new one from now on.", "",
        "市级平台已更新 CA（由其密钥签名），本设备自此信任新 CA。", "",
    ),
    "certificate_form": Words("A certificate cannot be read.", _TELL[0], "证书无法读取。", _TELL[1]),
    "certificate_other_ca": Words(
        "A certificate for this box is not of its city's CA; it was not kept.", _TELL[0],
        "发给本设备的证书不是其市级 CA 签发的，未保存。", _TELL[1],
    ),
    "certificate_other_key": Words(
        "A certificate for this box is for another key; it was not kept.", _TELL[0], "证书对应的不是本设备的密钥，未保存。", _TELL[1]
    ),
    "certificate_other_site": Words(
        "A certificate for this box is for another site; it was not kept.", _TELL[0], "证书属于另一站点，未保存。", _TELL[1]
    ),
    "certificate_expired": Words(
        "This box's certificate has expired; the city is asked for a new one.",
        "If this stays: is the box's clock right?",
        "本设备的证书已过期，正在向市级平台申请新证书。",
        "若持续：请检查设备时间。",
    ),
    "certificate_not_yet": Words(
        "A certificate is not valid yet.", "Is the box's clock right?", "证书尚未生效。", "请检查设备时间。"
    ),
    "certificate_missing": Words(
        "This box has no certificate of its city yet, so it cannot report.",
        "Run `snowgate enrol` with the bundle that the city gave you.",
        "本设备尚无市级证书，无法上报。",
        "请用市级平台提供的登记包执行 snowgate enrol。",
    ),
    "certificate_renewed": Words("The city has renewed this box's certificate.", "", "市级平台已更新本设备的证书。", ""),
    "server_other_ca": Words(
        "The city's server has a certificate of another CA; nothing was sent to it.",
        "Somebody may be in between. Tell the city.",
        "市级服务器的证书由其他 CA 签发，未向其发送任何内容。",
        "可能有人中间拦截。请告知市级平台。",
    ),
    "server_other_name": Words(
        "The city's server has a certificate for another address; nothing was sent to it.", _TELL[0],
        "市级服务器的证书属于另一地址，未向其发送任何内容。", _TELL[1],
    ),
    "server_certificate_wrong": Words(
        "The city's server has a certificate that is not good; nothing was sent to it.", _TELL[0],
        "市级服务器的证书无效，未向其发送任何内容。", _TELL[1],
    ),
    "server_certificate_expired": Words(
        "The certificate of the city's server has expired; nothing was sent to it.",
        "Is the box's clock right? If so, tell the city.",
        "市级服务器的证书已过期，未向其发送任何内容。",
        "请检查设备时间；若无误，请告知市级平台。",
    ),
    "server_certificate_not_yet": Words(
        "The certificate of the city's server is not valid yet; nothing was sent to it.",
        "Is the box's clock right? If so, tell the city.",
        "市级服务器的证书尚未生效，未向其发送任何内容。",
        "请检查设备时间；若无误，请告知市级平台。",
    ),
    "server_tls_old": Words(
        "The city's server does not speak TLS 1.3; nothing was sent to it.", _TELL[0],
        "市级服务器不支持 TLS 1.3，未向其发送任何内容。", _TELL[1],
    ),
    "server_tls_broken": Words(
        "What answers at the city's address speaks no proper TLS.", _TELL[0], "市级地址的应答不是正常的 TLS。", _TELL[1]
    ),
    "server_refuses_certificate": Words(
        "The city's server does not take this box's certificate.", _TELL[0], "市级服务器不接受本设备的证书。", _TELL[1]
    ),
    "server_redirects": Words(
        "The city's server wants to send the box elsewhere; it does not go.", _TELL[0], "市级服务器要求跳转，设备不跟随。", _TELL[1]
    ),
    "server_answer": Words(
        "The city's server answered with something else than agreed.", _TELL[0], "市级服务器的应答不符合约定。", _TELL[1]
    ),
}  # fmt: skip
