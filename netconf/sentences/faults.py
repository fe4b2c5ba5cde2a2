"""Why the city has no picture or no registration: cause, next step and evidence of every code of ``edge.faults``."""

from __future__ import annotations

from netconf.sentences.form import Words


def _words(en: tuple[str, str, str], zh: tuple[str, str, str]) -> Words:
    """Return cause, evidence and next step in both languages."""
    return Words(en[0], en[2], zh[0], zh[2], en[1], zh[1])


_TUNNEL = {
    "tunnel_never": _words(
        ("The tunnel {name} has never shaken hands with the city.",
         "{sent} bytes were sent to {endpoint}, {received} came back.",
         "Check the uplink's cable and address and that UDP to {endpoint} is let out; then ask the city whether it knows this box's key."),
        ("隧道 {name} 从未与市级平台握手。", "已向 {endpoint} 发送 {sent} 字节，收到 {received} 字节。",
         "请检查上联线缆与地址，确认出口放行到 {endpoint} 的 UDP；再向市级平台确认本设备密钥。"),
    ),
    "tunnel_old": _words(
        ("The tunnel {name} to the city has no answer any more.",
         "The last handshake was {seconds} s ago; {sent} bytes were sent to {endpoint}.",
         "Check the uplink's cable, router and provider; it comes back by itself."),
        ("隧道 {name} 已无应答。", "最近一次握手在 {seconds} 秒前；已向 {endpoint} 发送 {sent} 字节。",
         "请检查上联线缆、路由器和运营商；恢复后会自动重连。"),
    ),
    "tunnel_dead": _words(
        ("The concentrator at the end of the tunnel {name} does not answer.",
         "Its probes have had no answer for {seconds} s; the site is carried by {used}.",
         "Have the city check that concentrator; views go on by the other tunnel if there is one."),
        ("隧道 {name} 对端的汇聚设备无应答。", "探测已 {seconds} 秒无应答；本站由 {used} 承载。",
         "请市级平台检查该汇聚设备；如有另一条隧道，观看由其继续。"),
    ),
}  # fmt: skip

_REGISTRATION = {
    "city_port_refused": _words(
        ("Nothing listens at the SIP address of the city's platform.",
         "{server} refuses the connection; {tries} tries since it was registered last.",
         "Have the city check that its SIP service runs, and its port and transport (TCP or UDP)."),
        ("市级平台的 SIP 地址无服务监听。", "{server} 拒绝连接；上次注册后已尝试 {tries} 次。",
         "请市级平台检查 SIP 服务是否运行，以及端口和传输方式（TCP 或 UDP）。"),
    ),
    "city_port_silent": _words(
        ("The tunnel stands, but the city's platform is not reached at its SIP address.",
         "Connections to {server} get no answer; {tries} tries since it was registered last.",
         "Have the city check the platform's address and the firewall and routes behind its end of the tunnel."),
        ("隧道正常，但无法到达市级平台的 SIP 地址。", "到 {server} 的连接无应答；上次注册后已尝试 {tries} 次。",
         "请市级平台检查平台地址，以及隧道对端后的防火墙与路由。"),
    ),
    "city_register_unanswered": _words(
        ("The city's platform does not answer the registration at all.",
         "REGISTER of {id} to {server}: no answer, {tries} tries.",
         "Have the city check that it has entered the id {id} and takes registrations from this box's tunnel address."),
        ("市级平台对注册请求完全无应答。", "{id} 向 {server} 发送 REGISTER：无应答，已尝试 {tries} 次。",
         "请市级平台确认已录入编码 {id}，并允许本设备的隧道地址注册。"),
    ),
    "city_password_refused": _words(
        ("The city's platform does not accept this site's password.",
         "{server} answered {status} to the password of {id}; {tries} tries.",
         "Have the city tell the password of {id} anew, and write it on the box; too many wrong tries lock some platforms."),
        ("市级平台不接受本站点的口令。", "{server} 对 {id} 的口令应答 {status}；已尝试 {tries} 次。",
         "请向市级平台重新索取 {id} 的口令并写入本设备；多次错误可能被平台锁定。"),
    ),
    "city_realm_other": _words(
        ("The city's platform asks for a password of another realm, so none was sent.",
         "{server} asked: {asked}",
         "Have the city's layer name the platform's realm; usually it is its domain, the first ten digits of its id."),
        ("市级平台要求的是另一个 realm 的口令，因此未发送。", "{server} 的要求：{asked}",
         "请在市级配置中填写平台的 realm；通常为其 SIP 域，即平台编码前十位。"),
    ),
    "city_id_refused": _words(
        ("The city's platform does not know this site's id.",
         "{server} answered {status} {phrase} to REGISTER of {id} without asking for a password; {tries} tries.",
         "Have the city enter {id} as a lower platform, from this box's tunnel address."),
        ("市级平台不认识本站点的编码。", "{server} 对 {id} 的 REGISTER 直接应答 {status} {phrase}；已尝试 {tries} 次。",
         "请市级平台将 {id} 录入为下级平台，并对应本设备的隧道地址。"),
    ),
    "city_registration_refused": _words(
        ("The city's platform refuses the registration.",
         "{server} answered {status} {phrase} to REGISTER of {id}; {tries} tries.",
         "Have the city look this answer up in its platform's log; it is tried again by itself."),
        ("市级平台拒绝注册。", "{server} 对 {id} 的 REGISTER 应答 {status} {phrase}；已尝试 {tries} 次。",
         "请市级平台在日志中查明该应答的原因；本设备会自动重试。"),
    ),
    "city_keepalive_unanswered": _words(
        ("The city's platform takes the registration, but not the keepalives.",
         "{missed} keepalives to {server} without a good answer (status {answer}).",
         "Have the city check its load and that its keepalive time is not shorter than this box's."),
        ("市级平台接受注册，但对心跳无正常应答。", "向 {server} 发送的 {missed} 次心跳无正常应答（状态 {answer}）。",
         "请市级平台检查负载，并确认其心跳周期不短于本设备。"),
    ),
    "city_not_registered": _words(
        ("The tunnel stands, and the site is not registered with the city's platform yet.",
         "{tries} tries at {server}.",
         "Wait a minute; if it stays so, have the city check the site's id and password."),
        ("隧道正常，但尚未在市级平台注册。", "已向 {server} 尝试 {tries} 次。", "请等待一分钟；若持续如此，请市级平台核对站点编码和口令。"),
    ),
}  # fmt: skip

_CITY = {
    "offer_address_unusable": _words(
        ("The city asked for {channel} and named no address that pictures can be sent to.",
         "Its SDP says {address}.",
         "Have the city set the media address of its platform: it sends its default."),
        ("市级平台点播 {channel} 时给出的收流地址不可用。", "其 SDP 写的是 {address}。", "请市级平台设置收流（媒体）地址：当前发送的是默认值。"),
    ),
    "offer_address_foreign": _words(
        ("The city wants the pictures of {channel} at an address outside of the networks that were agreed.",
         "Its SDP says {address}; agreed are {agreed}.",
         "Have the city correct its platform's media address, or name that network in its layer of this box's configuration."),
        ("市级平台点播 {channel} 的收流地址不在约定网段内。", "其 SDP 写的是 {address}；约定网段为 {agreed}。",
         "请市级平台更正收流地址，或在下发给本设备的配置中加入该网段。"),
    ),
    "offer_not_carried": _words(
        ("The city asked for {channel} in a form that this box does not send.",
         "Its SDP offers {offered}; this box sends video over RTP/AVP by UDP, or by TCP to where the city listens.",
         "Have the city ask for it over UDP, or over TCP with a=setup:passive."),
        ("市级平台点播 {channel} 的媒体形式本设备不发送。", "其 SDP 提供 {offered}；本设备以 RTP/AVP 发送视频：UDP，或由本设备主动连接的 TCP。",
         "请市级平台改用 UDP 方式，或 TCP 方式并声明 a=setup:passive。"),
    ),
    "offer_encoding_not_carried": _words(
        ("The city asked for {channel} in an encoding that this box does not carry.",
         "Its SDP names {encoding}; carried are PS, H264 and H265.",
         "Have the city ask for PS."),
        ("市级平台点播 {channel} 的编码本设备不传送。", "其 SDP 写的是 {encoding}；可传送 PS、H264、H265。", "请市级平台改用 PS 流。"),
    ),
    "right_not_of_city": _words(
        ("The city asked for {channel} without having given itself the right to.",
         "The right {right} is not in the city's layer.",
         "Have the city add {right} to the platform's rights, if it is to have it."),
        ("市级平台点播 {channel}，但市级配置未授予该权限。", "市级配置中没有权限 {right}。", "如应授予，请市级平台在平台权限中加入 {right}。"),
    ),
    "right_not_of_owner": _words(
        ("The city asked for {channel}, which the owner does not let it see in this way.",
         "The owner's configuration does not share it or does not allow {right}.",
         "Nothing to do, if that is meant; otherwise share the camera and allow {right}."),
        ("市级平台点播 {channel}，但业主未开放。", "业主配置未共享该通道或未允许 {right}。", "如属预期则无需处理；否则请共享该摄像机并允许 {right}。"),
    ),
    "city_refuses_media": _words(
        ("The pictures leave this box, and the city's media host sends them back.",
         "{address} refuses UDP port {port} (ICMP {icmp}): {packets} times, last {seconds} s ago.",
         "Have the city check that its media service listens at the address and port that its SDP names, and its firewall."),
        ("视频已从本设备发出，但被市级媒体主机拒收。", "{address} 拒绝 UDP 端口 {port}（ICMP {icmp}）：{packets} 次，最近一次 {seconds} 秒前。",
         "请市级平台检查媒体服务是否在其 SDP 所写地址和端口上收流，并检查防火墙。"),
    ),
}  # fmt: skip

_RECORDERS = {
    "recorder_silent": _words(
        ("The recorder {name} is not registered, and nothing was heard of it.",
         "No REGISTER came from {agreed}.",
         "Check its power and cable, then in its platform settings the address, port and id of this box."),
        ("录像机 {name} 未注册，也未收到其任何消息。", "未收到来自 {agreed} 的 REGISTER。",
         "请检查其电源和网线，再核对其平台设置中的本设备地址、端口和编码。"),
    ),
    "recorder_gone": _words(
        ("The recorder {name} was registered and is gone.", "It ended by: {how}.",
         "Check its power and cable; it registers again by itself."),
        ("录像机 {name} 曾注册，现已离线。", "离线方式：{how}。", "请检查其电源和网线；恢复后会自动注册。"),
    ),
    "recorder_password_wrong": _words(
        ("The recorder {name} registers with a wrong password.",
         "REGISTER from {source} with a wrong answer to the challenge.",
         "Compare the password in the recorder's platform settings with the one given to snowgate; after three wrong tries it waits ten minutes."),
        ("录像机 {name} 的注册密码错误。", "来自 {source} 的 REGISTER 鉴权失败。", "请核对录像机平台设置与本设备中的密码；三次错误后需等待十分钟。"),
    ),
    "recorder_hardware_other": _words(
        (
            "Another device uses the address of the recorder {name}.",
            "{agreed} is used by {other}; listed is {mac}.",
            "If the recorder was replaced, list its new hardware address; otherwise find the device with the same address.",
        ),
        (
            "录像机 {name} 的地址被另一台设备使用。",
            "{agreed} 由 {other} 使用；登记的硬件地址为 {mac}。",
            "如已更换录像机，请登记其新的硬件地址；否则请查找占用该地址的设备。",
        ),
    ),
    "recorder_address_other": _words(
        ("The recorder {name} has another address than the one that is listed.",
         "It sends from {source}; listed is {agreed}.",
         "Give the recorder its address back as a fixed one, or list the new one."),
        ("录像机 {name} 使用了非登记地址。", "其报文来自 {source}；登记地址为 {agreed}。", "请为录像机恢复固定地址，或登记新地址。"),
    ),
    "recorder_id_other": _words(
        ("At the address of the recorder {name} a device registers under another id.",
         "REGISTER of {said} from {source}.",
         "Set the recorder's device id to {name}, or list the one that it has."),
        ("录像机 {name} 的地址上有设备以其他编码注册。", "来自 {source} 的 REGISTER，编码 {said}。", "请将录像机的设备编码设为 {name}，或登记其现有编码。"),
    ),
    "recorder_busy": _words(
        ("The recorder sends no further stream of {channel}: it is busy.",
         "{recorder} answered {status} {phrase} to INVITE.",
         "End other views of this recorder, or raise the number of streams in its settings."),
        ("录像机繁忙，不再发送 {channel} 的视频。", "{recorder} 对 INVITE 应答 {status} {phrase}。", "请结束该录像机的其他观看，或在其设置中提高路数。"),
    ),
    "recorder_refuses_offer": _words(
        ("The recorder does not accept what this box asks for of {channel}.",
         "{recorder} answered {status} {phrase} to INVITE (PS over RTP/AVP).",
         "Set the recorder's platform access to GB/T 28181 with PS over UDP; keep a capture of it for its maker."),
        ("录像机不接受本设备对 {channel} 的媒体请求。", "{recorder} 对 INVITE（PS，RTP/AVP）应答 {status} {phrase}。",
         "请将录像机平台接入设为 GB/T 28181、UDP 方式的 PS 流；并抓包交厂家。"),
    ),
    "recorder_refuses_view": _words(
        ("The recorder refuses to show {channel}.",
         "{recorder} answered {status} {phrase} to INVITE.",
         "Check in the recorder that the channel exists, is on, and has this id; look at its log."),
        ("录像机拒绝播放 {channel}。", "{recorder} 对 INVITE 应答 {status} {phrase}。", "请在录像机上确认通道存在、在线且编码一致，并查看其日志。"),
    ),
    "recorder_ignores_view": _words(
        ("The recorder is registered and does not answer when {channel} is asked for.",
         "{recorder} gave no final answer to INVITE.",
         "Restart the recorder; check that no firewall or second address stands between it and this box."),
        ("录像机已注册，但点播 {channel} 时无应答。", "{recorder} 对 INVITE 没有最终应答。", "请重启录像机；检查它与本设备之间是否有防火墙或第二个地址。"),
    ),
    "answer_address_foreign": _words(
        ("The recorder says that it sends the pictures of {channel} from an address that is not listed.",
         "SDP of {recorder} says {address}; listed is {agreed}.",
         "Set the recorder's media address to its LAN address, or list the other one among its media addresses."),
        ("录像机声明的 {channel} 发流地址未登记。", "{recorder} 的 SDP 写的是 {address}；登记为 {agreed}。",
         "请将录像机媒体地址设为其局域网地址，或将该地址登记为其媒体地址。"),
    ),
    "answer_not_carried": _words(
        ("The recorder answered for {channel} with something that this box cannot take.",
         "SDP of {recorder}: {answered}.",
         "Set the recorder to PS over UDP; keep a capture of it for its maker."),
        ("录像机对 {channel} 的应答本设备无法接受。", "{recorder} 的 SDP：{answered}。", "请将录像机设为 UDP 方式的 PS 流；并抓包交厂家。"),
    ),
    "answer_encoding_not_carried": _words(
        ("The recorder would send {channel} in an encoding that this box does not carry.",
         "SDP of {recorder} names {encoding}; carried are PS, H264 and H265. Names like DAHUA or HIKVISION are the maker's own encoding.",
         "Set the channel to PS, H.264 or H.265 and switch the maker's own encoding off."),
        ("录像机发送 {channel} 所用的编码本设备不传送。",
         "{recorder} 的 SDP 写的是 {encoding}；可传送 PS、H264、H265。DAHUA、HIKVISION 等为厂商私有编码。",
         "请将该通道设为 PS、H.264 或 H.265，关闭厂商私有编码。"),
    ),
    "answer_format_not_offered": _words(
        ("The recorder sends {channel} in a format that the city's platform does not take.",
         "SDP of {recorder} names {form}; the platform's INVITE does not.",
         "Set the stream type of the recorder's platform access to PS, or have the city offer {form} as well."),
        ("录像机发送 {channel} 所用的格式市级平台不接收。", "{recorder} 的 SDP 写的是 {form}；市级平台的 INVITE 未列出。",
         "请将录像机平台接入的流类型设为 PS，或请市级平台同时声明 {form}。"),
    ),
    "camera_off": _words(
        ("The camera {channel} is off: the recorder says so itself.",
         "The catalog of {recorder} has it as OFF; no packet came to port {port}.",
         "Check the camera's power and cable."),
        ("摄像机 {channel} 离线：录像机自己如此上报。", "{recorder} 的目录中其状态为 OFF；端口 {port} 未收到任何包。", "请检查摄像机的电源和网线。"),
    ),
    "recorder_sends_nothing": _words(
        ("The recorder agreed to send {channel} and sends nothing.",
         "{recorder} answered 200; no packet came to UDP port {port}, from nobody.",
         "Check that the camera behind this channel shows a picture in the recorder itself; restart the recorder."),
        ("录像机已同意发送 {channel}，但没有发出任何数据。", "{recorder} 应答 200；UDP 端口 {port} 未收到任何来源的包。",
         "请在录像机本机上确认该通道有画面；必要时重启录像机。"),
    ),
    "recorder_sends_from_elsewhere": _words(
        ("The pictures of {channel} come from another address than is listed, and are not let in.",
         "{packets} packets from {address} to port {port}; listed for {recorder} is {agreed}.",
         "If {address} is the recorder's second address or network port, list it among its media addresses; otherwise find out what it is."),
        ("{channel} 的视频来自未登记的地址，未放行。", "{address} 向端口 {port} 发来 {packets} 个包；{recorder} 登记的是 {agreed}。",
         "如 {address} 是录像机的第二个地址或网口，请登记为其媒体地址；否则请查明其来源。"),
    ),
    "recorder_sends_other_media": _words(
        ("The recorder sends {channel} in another form than it agreed to.",
         "{packets} packets of payload type {kind} from {recorder} to port {port}; agreed is {wanted}.",
         "Set the stream type of the recorder's platform access to PS."),
        ("录像机发送的 {channel} 与约定形式不符。", "{recorder} 向端口 {port} 发来 {packets} 个负载类型 {kind} 的包；约定为 {wanted}。",
         "请将录像机平台接入的流类型设为 PS。"),
    ),
    "recorder_sends_fragments": _words(
        ("The recorder sends packets of {channel} that are too large for the network and arrive in pieces.",
         "{packets} fragments from {recorder}; pieces are not let in.",
         "Set the recorder's MTU or RTP packet size to 1400 bytes or less."),
        ("录像机发送 {channel} 的包过大，以分片到达。", "来自 {recorder} 的 {packets} 个分片；分片不予放行。", "请将录像机的 MTU 或 RTP 包长设为 1400 字节以下。"),
    ),
    "recorder_sends_no_ps": _words(
        ("What the recorder sends of {channel} is no program stream (PS), or is encrypted by its maker's own means.",
         "Well-formed RTP came from {recorder} to port {port}; what was in it was refused, and the view was ended.",
         "Set the camera to H.264 or H.265, PS, without the maker's own encoding or stream encryption."),
        ("录像机发送的 {channel} 不是 PS 流，或使用了厂商私有加密。", "{recorder} 向端口 {port} 发来的 RTP 包内容不合规，已被阻断并结束观看。",
         "请将该通道设为 H.264 或 H.265 的 PS 流，关闭厂商私有编码和码流加密。"),
    ),
    "recorder_sends_no_es": _words(
        ("What the recorder sends of {channel} is no {form} as it agreed, or is encrypted by its maker's own means.",
         "Well-formed RTP came from {recorder} to port {port}; what was in it was refused, and the view was ended.",
         "Set the stream type of the recorder's platform access to PS, without the maker's own encoding or stream encryption."),
        ("录像机发送的 {channel} 不是约定的 {form} 码流，或使用了厂商私有加密。", "{recorder} 向端口 {port} 发来的 RTP 包内容不合规，已被阻断并结束观看。",
         "请将录像机平台接入的流类型设为 PS，关闭厂商私有编码和码流加密。"),
    ),
    "recorder_stopped_sending": _words(
        ("The recorder stopped sending {channel} in the middle of a view.",
         "15 s without a good packet from {recorder} at port {port}; it sent no BYE.",
         "Check the camera and its cable, and whether the recorder restarted."),
        ("录像机在观看中途停止发送 {channel}。", "{recorder} 在端口 {port} 上 15 秒没有有效数据，也未发送 BYE。",
         "请检查摄像机及其网线，以及录像机是否重启。"),
    ),
}  # fmt: skip

FAULTS = _TUNNEL | _REGISTRATION | _CITY | _RECORDERS
