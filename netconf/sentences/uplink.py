"""The wires, and what DHCP and name servers told."""

from __future__ import annotations

from netconf.sentences.form import Words

UPLINK = {
    "dns_missing": Words(
        "The endpoint is a name ({name}), and there is nobody to ask for its address.",
        "Name a DNS server under [uplink] dns, or write the address.",
        "端点是域名（{name}），但没有可查询的 DNS 服务器。",
        "请在 [uplink] dns 填写服务器，或直接写地址。",
    ),
    "uplink_mode_not_yet": Words(
        "The uplink driver {mode} is planned but not there yet.",
        "Use dhcp or static, with a router before the box that dials in.",
        "上联方式 {mode} 已规划，但本版本尚不支持。",
        "请使用 dhcp 或 static，由前置路由器拨号。",
    ),
    "uplink_field_given": Words(
        "With the mode {mode} the address is not written here.",
        "Remove this line, or choose static.",
        "方式为 {mode} 时地址自动获得，不应填写。",
        "请删除此行，或改用 static。",
    ),
    "one_arm_ports": Words(
        "A one-arm box has one port for both, but the LAN names {port} and the uplink {uplink}.",
        "Name the same port twice, or remove mode.",
        "单臂模式内外共用一个网口，但内网口为 {port}，上联口为 {uplink}。",
        "请填写同一个网口，或删除 mode。",
    ),
    "link_name_taken": Words(
        "The name {name} is the one that the box gives to a link of its own.",
        "Choose another name.",
        "名称 {name} 由设备自建的接口使用。",
        "请换一个名称。",
    ),
    "address_taken": Words(
        "{address} is the box's own in the LAN, or a recorder's.",
        "Give the uplink another address.",
        "{address} 已被本机内网口或录像机使用。",
        "请为上联口换一个地址。",
    ),
    "lan_port_left": Words(
        "The LAN port {port} had left its namespace; it was shut and brought back.",
        "If this comes again, check the adapter and its power.",
        "内网口 {port} 曾脱离其命名空间，已关闭并收回。",
        "若反复出现，请检查网卡及供电。",
    ),
    "lease_none": Words(
        "The uplink {port} has no address: no DHCP server has given one.",
        "Check the uplink's cable and the router's DHCP.",
        "上联口 {port} 没有地址：尚未从 DHCP 获得。",
        "请检查上联网线和路由器的 DHCP。",
    ),
    "lease_unasked": Words(
        "An address by DHCP was offered for {port}, which the configuration does not ask for.",
        "Nothing to do; the offer is not taken.",
        "收到 {port} 的 DHCP 地址，但配置并未要求。",
        "无需处理；该地址不予采用。",
    ),
    "lease_address": Words(
        "The DHCP server gave {address}, which no host can have.",
        "Correct the router's DHCP settings.",
        "DHCP 服务器分配了 {address}，不能用作主机地址。",
        "请更正路由器的 DHCP 设置。",
    ),
    "lease_router": Words(
        "The DHCP server gave {address} with the router {router}, which cannot be reached from it.",
        "Correct the router's DHCP settings.",
        "DHCP 服务器分配了 {address}，但网关 {router} 从该地址不可达。",
        "请更正路由器的 DHCP 设置。",
    ),
    "lease_overlaps": Words(
        "The DHCP server gave {address}, which overlaps {other} of the LAN or the tunnel; it is not taken.",
        "Give the LAN or the router's DHCP another network.",
        "DHCP 分配的 {address} 与内网或隧道的 {other} 重叠，不予采用。",
        "请更换内网或路由器 DHCP 的网段。",
    ),
    "endpoint_unresolved": Words(
        "The address of {name} is not known yet: no DNS server has told it.",
        "Check the uplink and its DNS servers.",
        "尚不知道 {name} 的地址：DNS 没有答复。",
        "请检查上联口及其 DNS 服务器。",
    ),
    "lease_got": Words("The uplink has an address by DHCP.", "", "上联口已从 DHCP 获得地址。", ""),
    "lease_lost": Words(
        "The uplink's address by DHCP has ended; a new one is asked for.",
        "Check the router.",
        "上联口的 DHCP 地址已失效，正在重新申请。",
        "请检查路由器。",
    ),
    "endpoint_not_kept": Words(
        "The last good address of an endpoint could not be stored.",
        "Check the disk.",
        "端点的最新地址未能保存。",
        "请检查磁盘。",
    ),
    "learned_refused": Words(
        "What the uplink learned does not fit the configuration; it is not used.",
        "See the findings of snowgate status.",
        "上联口获得的信息与配置不符，未予采用。",
        "请查看 snowgate status 的提示。",
    ),
}
