"""What the programs say of themselves and of each other, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

PROCESSES = {
    "keeper_ready": Words(
        "The keeper is ready: what was confirmed holds.", "", "守护进程已就绪：已确认的配置生效。", ""
    ),
    "keeper_user_missing": Words(
        "The box has no user snowgate-keeper, so nothing was started.",
        "Run systemd-sysusers and systemd-tmpfiles --create, then restart the box.",
        "设备上没有用户 snowgate-keeper，未启动任何程序。",
        "请运行 systemd-sysusers 和 systemd-tmpfiles --create，然后重启设备。",
    ),
    "keeper_connected": Words("The keeper is connected.", "", "守护进程已连接。", ""),
    "side_connected": Words("A side is connected.", "", "一侧程序已连接。", ""),
    "side_gone": Words(
        "A side is gone; views go on while it is started again.", "", "一侧程序已断开；重启期间观看继续。", ""
    ),
    "side_faulty": Words(
        "A side broke a rule; its line was cut.",
        "If it happens again, send the support bundle to the maker: a program may have been taken over.",
        "一侧程序违反规则，连接已切断。",
        "若再次发生，请将支持包发给厂商：程序可能已被攻破。",
    ),
    "relay_worker_died": Words(
        "A relay worker died or hung and was started again; its calls go on.",
        "",
        "一个转发进程退出或无响应，已重启；其通话继续。",
        "",
    ),
    "relay_stuck": Words(
        "The relay no longer answers; the ferry starts again.", "", "转发进程无响应，摆渡程序重新启动。", ""
    ),
    "receipt_not_synced": Words(
        "The disk did not keep a receipt; the ferry starts again and reads what is there.",
        "If it happens again, have the disk replaced.",
        "磁盘未能保存一条回执；摆渡程序重新启动并读取现有内容。",
        "若再次发生，请更换磁盘。",
    ),
    "program_silent": Words(
        "A program no longer answered; it was ended and starts again.",
        "If it happens again, send the support bundle to the maker.",
        "程序无响应，已结束并重新启动。",
        "若再次发生，请将支持包发给厂商。",
    ),
}
