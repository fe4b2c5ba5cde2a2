"""Why a view, an order or a registration was refused or ended, and what the two sides say of themselves."""

from __future__ import annotations

from netconf.sentences.form import Words

CALLS = {
    "cancelled": Words("The city withdrew its request.", "", "市级平台取消了请求。", ""),
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
    "done": Words("It was done.", "", "已完成。", ""),
    "encoding_not_carried": Words(
        "The media is named as an encoding that this gate does not carry: it carries PS, H264 and H265.",
        "Set the device to PS, H.264 or H.265 without the maker's own encoding (names like DAHUA or HIKVISION).",
        "媒体声明的编码不是本设备传送的类型（PS、H264、H265）。",
        "请将设备设为 PS、H.264 或 H.265，关闭厂商私有编码（如 DAHUA、HIKVISION）。",
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
        "通道编码表无法读写，新通道不会向市级平台显示。",
        "请检查磁盘，或恢复备份。",
    ),
    "kept_damaged": Words(
        "What the program knew before its restart cannot be read; running views end.",
        "They can be opened again.",
        "重启前的状态无法读取，正在进行的观看将结束。",
        "可重新打开。",
    ),
    "format_not_offered": Words(
        "The recorder sends the picture in a format that the platform did not offer to take.",
        "Set the recorder to PS, or have the platform offer H264 and H265 beside PS.",
        "录像机发送的媒体格式不在平台 SDP 所列的范围内。",
        "请将录像机设为 PS 流，或请平台在 SDP 中同时声明 H264 和 H265。",
    ),
    "media_address_foreign": Words(
        "The media address lies outside the network that was agreed.",
        "Check the address in the device's SDP.",
        "媒体地址不在约定网段内。",
        "请检查设备 SDP 中的地址。",
    ),
    "media_foreign": Words(
        "The recorder sends something else than the stream that it agreed to (PS, H.264 or H.265); it does not pass.",
        "Set the camera to H.264 or H.265 without the maker's own encoding or encryption.",
        "录像机发送的不是约定的码流（PS、H.264 或 H.265），已被阻断。",
        "请将该通道编码设为 H.264 或 H.265，关闭厂商私有封装或加密。",
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
    "sdp_unacceptable": Words(
        "The media offered is not what this gate carries (video in RTP, by UDP or by TCP toward the city's listener).",
        "Ask for it by UDP, or by TCP with a=setup:passive.",
        "所提供的媒体不是本设备传送的类型（RTP 视频，UDP，或由本设备主动连接的 TCP）。",
        "请使用 UDP 方式，或 TCP 方式并声明 a=setup:passive。",
    ),
    "city_media_backwards": Words(
        "The city sent something down the connection on which it is shown pictures; the connection was ended.",
        "Media crosses one way. If this comes again, tell the city's operator that its media server sends what is no RTCP.",
        "市级平台在媒体连接上反向发送了数据，连接已终止。",
        "媒体只能单向传输。若反复出现，请告知市级平台：其流媒体服务器在连接上发送了非 RTCP 数据。",
    ),
    "city_media_closed": Words(
        "The city closed the connection on which it was shown pictures.",
        "Nothing is to be done here; the city can ask for the picture again.",
        "市级平台关闭了媒体连接。",
        "本端无需处理，市级平台可重新点播。",
    ),
    "city_media_unreached": Words(
        "The city asked for pictures by TCP, and took no connection where it said.",
        "Ask the city's operator whether its media server listens on the ports that it names.",
        "市级平台要求以 TCP 传输媒体，但其指定的地址未接受连接。",
        "请向市级平台核实其流媒体服务器是否在所声明的端口监听。",
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
    "stream_other": Words(
        "The recorder says that it sends another stream of the camera than it was asked for.",
        "Look at the picture. If it breaks up, correct the recorder's stream_attribute, or set sub_stream = false.",
        "录像机应答的码流与请求的不同。",
        "请查看画面；若画面破碎，请更正该录像机的 stream_attribute，或设 sub_stream = false。",
    ),
    "too_many_calls": Words(
        "No further view can be opened now.", "End another one first.", "当前观看路数已满。", "请先结束其他观看。"
    ),
    "tunnel_switched": Words(
        "The site is reached by another tunnel now; views that ran by the one before were ended.",
        "They can be opened again.",
        "本站已改用另一条隧道，原隧道上的观看已结束。",
        "可重新打开。",
    ),
    "tunnel_unanswered": Words(
        "A tunnel's concentrator answers no probe any more.",
        "Have the city check that concentrator; another tunnel carries the site if there is one.",
        "隧道的汇聚设备不再应答探测。",
        "请市级平台检查该汇聚设备；如有另一条隧道，则由其承载。",
    ),
    "tunnel_answers": Words("A tunnel's concentrator answers.", "", "隧道的汇聚设备应答正常。", ""),
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
    "uplink_full": Words(
        "The site's line has no room for another view.",
        "Close a view, or raise uplink.mbit_up if the line carries more.",
        "站点上行带宽已满，无法再开一路。",
        "请关闭一路，或在线路允许时调高 uplink.mbit_up。",
    ),
    "uplink_yielded": Words(
        "The view made room for one of a higher level.",
        "It can be opened again when the line has room.",
        "该路已让位于更高级别的观看者。",
        "线路空闲后可重新打开。",
    ),
    "view_established": Words("The city is watching.", "", "市级平台正在观看。", ""),
    "wrong_password": Words(
        "A recorder registered with a wrong password.",
        "Compare the password in the recorder with the one given to snowgate.",
        "录像机的注册密码错误。",
        "请核对录像机与本设备的密码。",
    ),
}
