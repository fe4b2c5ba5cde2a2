"""What the city may not do, and why, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

RIGHTS = {
    "channel_not_admitted": Words(
        "The city's layer does not admit this channel.", "Ask the city.", "市级配置未允许该通道。", "请联系市级平台。"
    ),
    "channel_not_shared": Words(
        "The owner does not share this camera.", "The owner can share it.", "业主未共享该摄像机。", "业主可开启共享。"
    ),
    "right_not_granted": Words(
        "The city's layer does not grant this right.", "Ask the city.", "市级配置未授予该权限。", "请联系市级平台。"
    ),
    "right_not_allowed": Words(
        "The owner does not allow this at this camera.",
        "The owner can allow it on the cameras page.",
        "业主未允许在该摄像机上进行此操作。",
        "业主可在“摄像机”页面允许。",
    ),
    "control_denied": Words(
        "This device control never passes: restarting, stopping a recording, disarming, configuring, upgrading, formatting, "
        "snapshots to an address, and whatever is not known.",
        "Do it at the recorder itself.",
        "该设备控制一律不放行：远程启动、停止录像、撤防、设备配置、软件升级、存储卡格式化、向外部地址抓拍，以及一切未知命令。",
        "请在录像机上直接操作。",
    ),
    "command_unknown": Words(
        "The command (CmdType) is not known here, and what is not known never passes.",
        "Nothing to do, unless somebody misses what it asks for.",
        "命令类型（CmdType）未知；未知命令一律不放行。",
        "除非有人需要该功能，否则无需处理。",
    ),
    "message_not_admitted": Words(
        "A message was understood and is not taken here; it was refused.",
        "Nothing to do, unless somebody misses what it asks for.",
        "收到可识别但此处不接受的消息，已拒绝。",
        "除非有人需要该功能，否则无需处理。",
    ),
    "event_unknown": Words(
        "Only the catalog, alarms and positions can be subscribed to.",
        "Nothing to do, unless somebody misses what it asks for.",
        "只能订阅目录、报警和移动设备位置。",
        "除非有人需要该功能，否则无需处理。",
    ),
    "edition_lacks": Words(
        "The recorder speaks GB/T 28181-2016, which does not know this command.",
        "Update the recorder to one that speaks GB/T 28181-2022, if the city needs this.",
        "录像机使用 GB/T 28181-2016，不支持该命令。",
        "如市级平台需要该功能，请将录像机升级至 GB/T 28181-2022。",
    ),
    "method_not_allowed": Words(
        "A request's method is not taken here.",
        "Nothing to do, unless somebody misses what it asks for.",
        "不接受该 SIP 请求方法。",
        "除非有人需要该功能，否则无需处理。",
    ),
    "invite_unasked": Words(
        "A recorder wanted to send or hear sound that nobody had asked it for.",
        "Look at the recorder's intercom settings if this comes again.",
        "录像机主动发起未经请求的语音呼叫。",
        "若反复出现，请检查录像机的对讲设置。",
    ),
}
