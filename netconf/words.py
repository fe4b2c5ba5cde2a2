"""The sentence and the "what to do" of every code, in English and Chinese. Everybody prints from here.

A code is stable; its words may be bettered. ``{name}`` in a sentence is a fact of the finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from netconf.finding import Finding
from netconf.sentences.changes import CHANGES
from netconf.sentences.form import Words
from netconf.sentences.pages import PAGES
from netconf.sentences.processes import PROCESSES
from netconf.sentences.receipts import RECEIPTS
from netconf.sentences.upkeep import UPKEEP
from netconf.sentences.uplink import UPLINK

Language = Literal["en", "zh-CN"]


#: What a site file can have wrong.
_SITE = {
    "file_too_long": Words(
        "The file is longer than {most} bytes.",
        "Is it a site file?",
        "文件超过 {most} 字节。",
        "请确认这是站点配置文件。",
    ),
    "file_syntax": Words(
        "The file is not valid TOML: {what}.",
        "Correct the line it names.",
        "文件不是有效的 TOML：{what}。",
        "请修改所指的行。",
    ),
    "field_missing": Words("This field is missing.", "Add it.", "缺少此字段。", "请补上。"),
    "field_unknown": Words(
        "There is no such field.", "Check its spelling or remove it.", "没有这个字段。", "请检查拼写或删除。"
    ),
    "field_kind": Words(
        "This value is of the wrong kind; it is written as {expected}.",
        "Correct it.",
        "该值类型不对，应写成 {expected}。",
        "请更正。",
    ),
    "field_choice": Words(
        "This value is none of {expected}.", "Choose one of them.", "该值只能是 {expected} 之一。", "请从中选择。"
    ),
    "number_low": Words("This number is below {least}.", "Write a larger one.", "该数小于 {least}。", "请改大。"),
    "number_high": Words("This number is above {most}.", "Write a smaller one.", "该数大于 {most}。", "请改小。"),
    "list_empty": Words("This list is empty.", "Add at least one entry.", "此列表为空。", "请至少填写一项。"),
    "list_long": Words("This list has more than {most} entries.", "Shorten it.", "此列表超过 {most} 项。", "请减少。"),
    "id_form": Words(
        "This is not a GB/T 28181 id of 20 digits.", "Copy it anew.", "这不是 20 位数字的国标编码。", "请重新抄写。"
    ),
    "domain_form": Words(
        "This is not a domain of 10 digits.", "Copy it anew.", "这不是 10 位数字的 SIP 域。", "请重新抄写。"
    ),
    "civil_code_form": Words(
        "This is not a civil code of 2 to 8 digits.",
        "Copy it anew.",
        "这不是 2 至 8 位的行政区划代码。",
        "请重新抄写。",
    ),
    "mac_form": Words(
        "This is not the MAC of one device.",
        "Write it as 02:00:00:00:00:10, from the device's label.",
        "这不是单台设备的 MAC 地址。",
        "请按设备标签写成 02:00:00:00:00:10 的形式。",
    ),
    "port_name_form": Words(
        "This name cannot be a network port's: small letters, digits and hyphens, 15 at most, a letter first.",
        "Choose another name.",
        "该名称不能用作网口名：小写字母、数字、连字符，最多 15 个，以字母开头。",
        "请换一个名称。",
    ),
    "media_ports_form": Words(
        "This is not a range of ports.", "Write it as 30000-30999.", "这不是端口范围。", "请写成 30000-30999 的形式。"
    ),
    "endpoint_form": Words(
        "This is not an address with a port from 1 to 65535.",
        "Write it as 192.0.2.1:51820.",
        "这不是带端口（1-65535）的地址。",
        "请写成 192.0.2.1:51820 的形式。",
    ),
    "key_form": Words(
        "This is not a WireGuard key: 44 characters of base64.",
        "Copy the whole line that wg pubkey prints.",
        "这不是 WireGuard 密钥（44 个 base64 字符）。",
        "请完整复制 wg pubkey 输出的一行。",
    ),
    "label_form": Words(
        "This is not a name of 1 to 64 printable characters.",
        "Shorten it, or remove what cannot be seen.",
        "名称须为 1 至 64 个可显示字符。",
        "请缩短，或去掉不可见字符。",
    ),
    "address_form": Words(
        "This is not an IPv4 address.", 'Write it as "192.0.2.1".', "这不是 IPv4 地址。", '请写成 "192.0.2.1" 的形式。'
    ),
    "interface_form": Words(
        "This is not an IPv4 address with its prefix.",
        'Write it as "192.0.2.1/24".',
        "这不是带前缀长度的 IPv4 地址。",
        '请写成 "192.0.2.1/24" 的形式。',
    ),
    "network_form": Words(
        "This is not an IPv4 network, or its host part is not zero.",
        'Write it as "192.0.2.0/24".',
        "这不是 IPv4 网段，或主机位不为零。",
        '请写成 "192.0.2.0/24" 的形式。',
    ),
    "address_no_host": Words(
        "{address} is not an address that a host can have.",
        "Correct it.",
        "{address} 不能用作主机地址。",
        "请更正。",
    ),
    "address_own": Words(
        "{address} is the box's own.", "Correct one of the two.", "{address} 是本设备自己的地址。", "请更正其中之一。"
    ),
    "address_other_side": Words(
        "{address} lies in the LAN or in the tunnel, and is asked through the uplink.",
        "Name a server that the uplink reaches.",
        "{address} 位于内网或隧道内，上联口无法访问。",
        "请填写上联口可达的服务器。",
    ),
    "field_value": Words("This value cannot be used: {what}.", "Correct it.", "该值无法使用：{what}。", "请更正。"),
    "ports_same": Words(
        "The LAN and the uplink name the same port ({port}).",
        "Give each its own port.",
        "内网口与上联口相同（{port}）。",
        "请分别指定不同的网口。",
    ),
    "media_ports_range": Words(
        "The media ports {ports} are no range within 1024-65535.",
        "Write it as 30000-30999.",
        "媒体端口 {ports} 不是 1024-65535 内的范围。",
        "请写成 30000-30999 的形式。",
    ),
    "media_ports_hold_sip": Words(
        "The media ports contain the SIP port {port}.",
        "Choose another range.",
        "媒体端口范围包含了 SIP 端口 {port}。",
        "请换一个范围。",
    ),
    "media_ports_few": Words(
        "The media ports do not suffice for {calls} views.",
        "Widen the range: two ports a view.",
        "媒体端口不够 {calls} 路使用。",
        "请扩大范围：每路两个端口。",
    ),
    "gateway_missing": Words(
        "The hub {address} cannot be reached: there is no gateway.",
        "Write the uplink's gateway.",
        "没有网关，无法到达隧道端点 {address}。",
        "请填写上联口网关。",
    ),
    "gateway_outside": Words(
        "The gateway {gateway} is not in the uplink's network.",
        "Correct the gateway or the address.",
        "网关 {gateway} 不在上联口网段内。",
        "请更正网关或地址。",
    ),
    "networks_overlap": Words(
        "The network {network} overlaps {other}, which is on another side.",
        "Renumber one of them.",
        "网段 {network} 与另一侧的 {other} 重叠。",
        "请更换其中一个网段。",
    ),
    "outside_lan": Words(
        "{address} is not a host address of the LAN.",
        "Correct it, or the LAN's address.",
        "{address} 不是内网中的主机地址。",
        "请更正它或内网地址。",
    ),
    "tunnel_repeated": Words(
        "Two tunnels are called {value}.", "Rename one.", "两条隧道同名 {value}。", "请更改其中一条的名称。"
    ),
    "tunnel_network_repeated": Words(
        "The network {network} is already behind a tunnel.",
        "Leave it with one of them.",
        "网段 {network} 已属于另一条隧道。",
        "请只保留一处。",
    ),
    "listen_port_repeated": Words(
        "Two tunnels listen on the port {port}.",
        "Give each its own, or 0.",
        "两条隧道的监听端口相同：{port}。",
        "请分别设置，或写 0。",
    ),
    "tunnel_name_is_port": Words(
        "The tunnel is called {name}, like a port.", "Rename it.", "隧道名 {name} 与网口同名。", "请改名。"
    ),
    "tunnel_address_wide": Words(
        "The tunnel address {address} is not a single address (/32).",
        "Ask the city for the site's own address.",
        "隧道地址 {address} 不是单个地址（/32）。",
        "请向市级平台索取本站地址。",
    ),
    "endpoint_inside": Words(
        "The endpoint {address} lies in the LAN or inside the tunnel.",
        "Ask the city for the hub's public address.",
        "端点 {address} 位于内网或隧道之内。",
        "请向市级平台索取公网地址。",
    ),
    "allowed_everything": Words(
        "The tunnel would take nearly everything ({network}).",
        "Name the city's networks only.",
        "隧道范围过大（{network}）。",
        "请只写市级平台的网段。",
    ),
    "platform_repeated": Words(
        "Two platforms have the id {value}.", "Leave one of them.", "两个平台的编号同为 {value}。", "请只保留一个。"
    ),
    "platform_port_repeated": Words(
        "Two platforms are spoken to from port {value}.",
        "Give each its own local_port.",
        "两个平台使用同一本地端口 {value}。",
        "请为每个平台设置不同的 local_port。",
    ),
    "platform_outside_tunnel": Words(
        "The platform {address} is in no tunnel's networks.",
        "Add its network to a tunnel.",
        "平台地址 {address} 不在任何隧道的网段内。",
        "请把其网段加入隧道。",
    ),
    "media_outside_tunnel": Words(
        "The media network {network} is in no tunnel's networks.",
        "Add it to a tunnel.",
        "媒体网段 {network} 不在任何隧道的网段内。",
        "请加入隧道。",
    ),
    "id_taken": Words(
        "The id {value} is already that of the site or the platform.",
        "Give each its own.",
        "编码 {value} 已用于站点或平台。",
        "请分别编码。",
    ),
    "recorder_id_repeated": Words(
        "Two recorders have the id {value}.", "Give each its own.", "两台录像机的编码相同：{value}。", "请分别编码。"
    ),
    "recorder_mac_repeated": Words(
        "Two recorders have the MAC {value}.",
        "Read it from the device's label.",
        "两台录像机的 MAC 相同：{value}。",
        "请核对设备标签。",
    ),
    "recorder_address_repeated": Words(
        "Two recorders have the address {value}.",
        "Give each its own.",
        "两台录像机的地址相同：{value}。",
        "请分别设置地址。",
    ),
    "recorder_among_owner": Words(
        "{address} is a recorder and lies in an owner's network.",
        "Move the recorder or narrow the network.",
        "录像机地址 {address} 位于业主网段内。",
        "请移动录像机或缩小网段。",
    ),
    "channel_repeated": Words(
        "The channel {value} stands twice for one recorder.",
        "Remove one.",
        "同一录像机的通道 {value} 重复。",
        "请删除一个。",
    ),
    "channel_without_recorder": Words(
        "The recorder {recorder} is not in the file.",
        "Add it or correct its id.",
        "文件中没有录像机 {recorder}。",
        "请添加或更正编码。",
    ),
    "coverage_b_shared": Words(
        "The camera {name} shows the inside of a unit (B) and is never shared.",
        "Set share = false, or correct its coverage.",
        "摄像机“{name}”为单位内部（B 类），不得共享。",
        "请设 share = false 或更正覆盖范围。",
    ),
    "recorder_kind_not_yet": Words(
        "Recorders of kind {kind} are not connected yet.",
        "Use GB28181 on the recorder.",
        "暂不接入 {kind} 类型的录像机。",
        "请在录像机上启用 GB28181。",
    ),
}

#: What the keeper can meet when it applies a site.
_APPLY = {
    "ports_swapped": Words(
        "The port {port} has the MAC {found}, not {expected}: the cables may be swapped.",
        "Compare the labels and the cables.",
        "网口 {port} 的 MAC 为 {found}，应为 {expected}：网线可能插反。",
        "请核对标签与网线。",
    ),
    "port_missing": Words(
        "There is no port {port}.", "Check the cable or the adapter.", "没有网口 {port}。", "请检查网线或网卡。"
    ),
    "ruleset_refused": Words(
        "The kernel does not take the rules of {namespace}: {what}.",
        "Report this; what ran before goes on.",
        "内核未接受 {namespace} 的规则：{what}。",
        "请上报；原配置继续运行。",
    ),
    "not_held": Words(
        "After applying, {namespace} does not hold: {what}.",
        "Report this; what ran before goes on.",
        "应用后 {namespace} 不符合：{what}。",
        "请上报；原配置继续运行。",
    ),
    "apply_refused": Words(
        "The settings of {namespace} could not be made: {what}.",
        "Report this; what ran before goes on.",
        "{namespace} 的设置未能完成：{what}。",
        "请上报；原配置继续运行。",
    ),
    "wireguard_missing": Words(
        "This kernel has no WireGuard and {tunnel} is not there.",
        "Use a kernel with WireGuard.",
        "内核没有 WireGuard，且没有 {tunnel}。",
        "请使用带 WireGuard 的内核。",
    ),
    "key_damaged": Words(
        "The private key of {tunnel} cannot be read.",
        "Move the file {tunnel}.key away, apply again, and give the city the new public key.",
        "{tunnel} 的私钥无法读取。",
        "请移走文件 {tunnel}.key，重新应用，并把新公钥告知市级平台。",
    ),
    "password_damaged": Words(
        "The password file of this device cannot be read.",
        "Write it anew: one line of text.",
        "该设备的密码文件无法读取。",
        "请重新写入一行文本。",
    ),
    "password_missing": Words(
        "There is no password for this device; it cannot register.",
        "Write it into the secrets folder: one line in the file recorder-ID, or platform for the city.",
        "没有该设备的密码，无法注册。",
        "请在密码目录写入一行：录像机为 recorder-ID，市级平台为 platform。",
    ),
    "site_damaged": Words(
        "The stored configuration cannot be read; everything stays shut.",
        "Apply the site file again.",
        "已存配置无法读取，全部保持关闭。",
        "请重新应用站点文件。",
    ),
    "keeper_away": Words(
        "The keeper does not answer.",
        "Is the box running? Are you root?",
        "守护进程没有应答。",
        "设备是否在运行？是否为 root？",
    ),
    "file_unreadable": Words(
        "The file cannot be read: {what}.", "Check its name.", "文件无法读取：{what}。", "请检查文件名。"
    ),
}

#: What a machine can lack for the lab.
_LAB = {
    "lab_no_program": Words(
        "The program {name} is not installed.",
        "apt-get install {package}",
        "未安装程序 {name}。",
        "apt-get install {package}",
    ),
    "lab_no_tun": Words(
        "/dev/net/tun cannot be opened by this user.",
        "Run as root, or have root allow it.",
        "当前用户无法打开 /dev/net/tun。",
        "请以 root 运行，或由 root 授权。",
    ),
    "lab_no_namespaces": Words(
        "This user cannot make namespaces.",
        "Run as root, or allow user namespaces.",
        "当前用户无法创建命名空间。",
        "请以 root 运行，或允许用户命名空间。",
    ),
    "lab_no_library": Words(
        "The library {name} is not installed.",
        "apt-get install {package}",
        "未安装库 {name}。",
        "apt-get install {package}",
    ),
    "lab_no_kernel": Words(
        "The kernel lacks {what}.", "Use a Debian kernel.", "内核缺少 {what}。", "请使用 Debian 内核。"
    ),
}

#: Why a view or a registration was refused or ended, and what the two sides say of themselves.
_CALLS = {
    "cancelled": Words("The city withdrew its request.", "", "市级平台取消了请求。", ""),
    "channel_not_admitted": Words(
        "The city's layer does not admit this channel.", "Ask the city.", "市级配置未允许该通道。", "请联系市级平台。"
    ),
    "channel_not_shared": Words(
        "The owner does not share this camera.", "The owner can share it.", "业主未共享该摄像机。", "业主可开启共享。"
    ),
    "channel_unknown": Words(
        "There is no such channel.", "Read the catalog again.", "没有该通道。", "请重新获取目录。"
    ),
    "city_registered": Words("The city's platform has accepted the site.", "", "已注册到市级平台。", ""),
    "city_registration_lost": Words(
        "The registration with the city's platform is lost; it is tried again.",
        "Look at the tunnel first.",
        "与市级平台的注册已断开，正在重试。",
        "请先检查隧道。",
    ),
    "ended_normally": Words("The view ended.", "", "观看结束。", ""),
    "ferry_unreachable": Words(
        "The crossing is not running.", "It starts again by itself.", "摆渡进程未运行。", "它会自动重启。"
    ),
    "city_layer_kept": Words("The city's new configuration is in use.", "", "市级新配置已生效。", ""),
    "control_away": Words(
        "The city's control does not answer.",
        "Look at the tunnel first; video goes on without it.",
        "市级管理平台没有应答。",
        "请先检查隧道；视频不受影响。",
    ),
    "device_key_damaged": Words(
        "The box's own key cannot be read.",
        "Move device.key away and enrol the box anew.",
        "本机密钥无法读取。",
        "请移走 device.key 并重新登记。",
    ),
    "ids_not_kept": Words(
        "The channels' ids can be neither read nor written; new channels are not shown to the city.",
        "Check the disk, or restore a backup.",
        "通道编号表无法读写，新通道不会向市级平台显示。",
        "请检查磁盘，或恢复备份。",
    ),
    "kept_damaged": Words(
        "What the program knew before its restart cannot be read; running views end.",
        "They can be opened again.",
        "重启前的状态无法读取，正在进行的观看将结束。",
        "可重新打开。",
    ),
    "media_address_foreign": Words(
        "The media address lies outside the network that was agreed.",
        "Check the address in the device's SDP.",
        "媒体地址不在约定网段内。",
        "请检查设备 SDP 中的地址。",
    ),
    "media_stopped": Words(
        "The recorder stopped sending pictures.",
        "Check the camera and the recorder.",
        "录像机停止发送图像。",
        "请检查摄像机与录像机。",
    ),
    "no_media": Words(
        "The recorder agreed to send and sent nothing usable within 10 seconds.",
        "Check the camera behind this channel.",
        "录像机已应答，但 10 秒内没有可用图像。",
        "请检查该通道的摄像机。",
    ),
    "pin_refused": Words(
        "The firewall did not open for this view.",
        "Look at the keeper's log.",
        "防火墙未为本次观看放行。",
        "请查看守护进程日志。",
    ),
    "recorder_no_answer": Words(
        "The recorder did not answer within 10 seconds.",
        "Check its power and cable.",
        "录像机 10 秒内没有应答。",
        "请检查电源与网线。",
    ),
    "recorder_offline": Words(
        "The recorder is not registered.",
        "Check its power, cable and platform settings.",
        "录像机未注册。",
        "请检查电源、网线与平台设置。",
    ),
    "recorder_online": Words("The recorder has registered.", "", "录像机已注册。", ""),
    "recorder_refused": Words(
        "The recorder refused the request.",
        "Look at the recorder's own log.",
        "录像机拒绝了请求。",
        "请查看录像机日志。",
    ),
    "right_not_granted": Words(
        "The city's layer does not grant this right.", "Ask the city.", "市级配置未授予该权限。", "请联系市级平台。"
    ),
    "sdp_unacceptable": Words(
        "The media offered is not what this gate carries (PS over RTP/AVP, UDP).",
        "Ask for PS over UDP.",
        "所提供的媒体不是本设备传送的类型（PS，RTP/AVP，UDP）。",
        "请使用 UDP 方式的 PS 流。",
    ),
    "message_not_admitted": Words(
        "A message was understood and is not taken here; it was refused.",
        "Nothing to do, unless somebody misses what it asks for.",
        "收到可识别但此处不接受的消息，已拒绝。",
        "除非有人需要该功能，否则无需处理。",
    ),
    "city_forgot": Words(
        "The city's platform no longer knew this view.",
        "It has probably restarted; the viewer opens it again.",
        "市级平台已不认识该次观看。",
        "平台可能已重启；观看者可重新打开。",
    ),
    "city_unreached": Words(
        "The city's platform was not reached for three minutes, so the view was ended.",
        "Ask the city whether its platform runs.",
        "三分钟未能联系市级平台，观看已结束。",
        "请确认市级平台是否运行。",
    ),
    "side_lost": Words(
        "One side of the box restarted.", "It comes back by itself.", "设备一侧已重启。", "它会自动恢复。"
    ),
    "too_many_calls": Words(
        "No further view can be opened now.", "End another one first.", "当前观看路数已满。", "请先结束其他观看。"
    ),
    "tunnel_silent": Words(
        "The tunnel to the city has no answer.",
        "Check the uplink cable and the router; the rest comes back by itself.",
        "到市级平台的隧道没有应答。",
        "请检查上联网线和路由器；恢复后会自动重连。",
    ),
    "unknown_address": Words(
        "A device registered from an address that is not its own.",
        "Check the recorder's address.",
        "设备从非登记地址注册。",
        "请检查录像机地址。",
    ),
    "unknown_device": Words(
        "A device that is not listed tried to register.",
        "List it, or find out what it is.",
        "未登记的设备尝试注册。",
        "请登记或查明该设备。",
    ),
    "message_refused": Words(
        "A message broke the rule {rule} and was dropped.",
        "If it comes from a device of yours, keep a capture of it for its maker.",
        "收到的报文违反规则 {rule}，已丢弃。",
        "如来自自有设备，请抓包交厂家。",
    ),
    "unknown_peer": Words(
        "Somebody who is not registered here sent a request.",
        "Find out what it is.",
        "收到未注册方的请求。",
        "请查明来源。",
    ),
    "view_established": Words("The city is watching.", "", "市级平台正在观看。", ""),
    "wrong_password": Words(
        "A recorder registered with a wrong password.",
        "Compare the password in the recorder with the one given to snowgate.",
        "录像机的注册密码错误。",
        "请核对录像机与本设备的密码。",
    ),
}

TABLE: dict[str, Words] = _SITE | _APPLY | _LAB | _CALLS | CHANGES | PAGES | UPLINK | RECEIPTS | PROCESSES | UPKEEP


class _Facts(dict[str, str]):
    """The facts of a finding, fit for a terminal; one that is missing is a question mark, never an error."""

    def __missing__(self, key: str) -> str:
        return "?"


def sentence(found: Finding, language: Language = "en") -> str:
    """Return what is wrong, in one sentence; a code without words (of another version) is its own sentence."""
    words = TABLE.get(found.code)
    if words is None:
        return found.code
    return _filled(words.en if language == "en" else words.zh, found)


def advice(found: Finding, language: Language = "en") -> str:
    """Return what to do about it; may be empty."""
    words = TABLE.get(found.code)
    if words is None:
        return ""
    return _filled(words.en_advice if language == "en" else words.zh_advice, found)


def _filled(words: str, found: Finding) -> str:
    return words.format_map(_Facts((name, _visible(value)) for name, value in found.args))


def _visible(text: str) -> str:
    """What a file or a tool said must not move the reader's cursor or forge a second line."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)


def reason(code: str, language: Language = "en") -> str:
    """Return the sentence of a code that names no facts; any other is the name of a rule that a message broke."""
    if code not in TABLE:
        return sentence(Finding("message_refused", args=(("rule", code),)), language)
    return sentence(Finding(code), language)


def report(findings: Iterable[Finding], language: Language = "en") -> list[str]:
    """Return one line a finding: where, what, what to do, code."""
    return [
        " ".join(part for part in (_visible(f.path), sentence(f, language), advice(f, language), f"({f.code})") if part)
        for f in findings
    ]
