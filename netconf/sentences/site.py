"""What a site file can have wrong, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

SITE = {
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
        "The tunnel names the network {network} twice.",
        "Leave one of them.",
        "隧道重复列出网段 {network}。",
        "请只保留一处。",
    ),
    "tunnel_address_repeated": Words(
        "Two tunnels have the address {value}.",
        "Ask the city for an address for each.",
        "两条隧道的地址相同：{value}。",
        "请向市级平台为每条隧道索取地址。",
    ),
    "tunnel_key_repeated": Words(
        "Two tunnels lead to the same concentrator's key {value}.",
        "Name another concentrator, or leave one tunnel out.",
        "两条隧道的对端公钥相同：{value}。",
        "请改为另一台汇聚设备，或只保留一条隧道。",
    ),
    "tunnel_endpoint_repeated": Words(
        "Two tunnels lead to the same endpoint {value}.",
        "Name another concentrator, or leave one tunnel out.",
        "两条隧道的端点相同：{value}。",
        "请改为另一台汇聚设备，或只保留一条隧道。",
    ),
    "probe_outside_tunnel": Words(
        "The probed address {address} is not in this tunnel's networks.",
        "Add its network to the tunnel.",
        "探测地址 {address} 不在该隧道的网段内。",
        "请把其网段加入该隧道。",
    ),
    "probe_missing": Words(
        "Whether the tunnel {name} carries is not probed; the box is slow to leave it and does not come back to it.",
        "Ask the city for the concentrator's inner address (probe).",
        "未设置隧道 {name} 的探测地址；设备切换较慢，且不会自动切回。",
        "请向市级平台索取汇聚设备的内部地址（probe）。",
    ),
    "allowed_own": Words(
        "The tunnel's network {network} holds the box's own address {address}.",
        "Name the city's networks only.",
        "隧道网段 {network} 包含本机地址 {address}。",
        "请只写市级平台的网段。",
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
        "Two platforms have the id {value}.", "Leave one of them.", "两个平台的编码相同：{value}。", "请只保留一个。"
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
    "reader_outside_tunnel": Words(
        "The monitoring server {address} is in no tunnel's networks.",
        "Add its network to a tunnel.",
        "监控服务器地址 {address} 不在任何隧道的网段内。",
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
    "sub_stream_faster": Words(
        "The sub-stream of the camera {name} is faster than its main stream, {most} Mbit/s.",
        "Write sub_mbit as the recorder shows it for the sub-stream: 512 kbit/s is 0.5.",
        "摄像机“{name}”的子码流高于主码流（{most} Mbit/s）。",
        "请按录像机中子码流的码率填写 sub_mbit：512 kbit/s 写 0.5。",
    ),
    "recorder_kind_not_yet": Words(
        "Recorders of kind {kind} are not connected yet.",
        "Use GB28181 on the recorder.",
        "暂不接入 {kind} 类型的录像机。",
        "请在录像机上启用 GB28181。",
    ),
}
