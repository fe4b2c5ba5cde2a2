"""What can be wrong with a request to the keeper, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words, inside

_FORM = {
    "hello_expected": inside("A program did not say who it is.", "程序未表明身份。"),
    "request_long": inside("A request is longer than is read.", "请求过长。"),
    "request_syntax": inside("A request cannot be read.", "请求无法解析。"),
    "request_unknown": inside("A program asked for what it may not ask.", "程序请求了它无权请求的内容。"),
    "request_fields": inside("A request has not the fields of its kind.", "请求的字段不符。"),
    "request_types": inside("A field of a request is of the wrong kind.", "请求字段的类型不符。"),
    "request_address": inside("A request names something that is no address.", "请求中的地址无效。"),
    "request_port": inside("A request names something that is no network port.", "请求中的网口名无效。"),
    "request_tunnel": inside("A request names something that is no tunnel.", "请求中的隧道名无效。"),
    "request_range": inside("A number in a request is out of its range.", "请求中的数值超出范围。"),
    "request_head": inside("The head of the receipts cannot be read.", "回执链头无法解析。"),
    "head_not_kept": Words(
        "The keeper could not write down how far the receipts have come.",
        "Make room on the disk, or have it repaired.",
        "守护进程无法保存回执链头。",
        "请清理或维修磁盘。",
    ),
    "request_pin": inside("A request names something that is no view.", "请求中的观看编号无效。"),
    "request_token": inside("A request names something that is no change.", "请求中的变更编号无效。"),
    "request_transport": inside("A pin was asked for neither UDP nor TCP.", "请求放行的既非 UDP 也非 TCP。"),
    "request_ttl": inside("A pin was asked for too long a time.", "请求的放行时间过长。"),
    "answer_unknown": inside("The keeper's answer cannot be read.", "守护进程的应答无法解析。"),
    "report_unsigned": inside("A report of the box is not signed by its key.", "设备报告未经其密钥签名。"),
}

_PINS = {
    "pin_without_site": inside("A pin was asked for before there is a configuration.", "尚无配置就请求放行。"),
    "pin_unknown": inside("A pin was to be renewed that is not open.", "要求续期的放行并不存在。"),
    "pin_not_loaded": inside("The kernel did not take the pin.", "内核未接受该放行规则。"),
    "pin_recorder": inside("A pin was asked for a recorder that is not listed.", "请求放行的录像机未登记。"),
    "pin_lan_port": inside("A pin was asked for a port outside the media ports.", "请求放行的端口不在媒体端口范围内。"),
    "pin_lan_port_taken": inside(
        "A pin was asked for a port that another view has.", "请求放行的端口已被其他观看占用。"
    ),
    "pin_city_address": inside(
        "A pin was asked to an address outside the city's media networks.", "请求放行的地址不在市级媒体网段内。"
    ),
    "pin_tunnel": inside(
        "A pin was asked from an address that is none of a tunnel's.", "请求放行的本机地址不属于任何隧道。"
    ),
    "pin_reports": inside(
        "A pin for reports (RTCP) was asked from a port that is not beside the media's.",
        "请求放行的 RTCP 端口与媒体端口不相邻。",
    ),
    "pin_recorder_address": inside(
        "A pin for sound was asked to an address that is none of the recorder's.", "请求放行的语音地址不属于该录像机。"
    ),
    "pin_talk": inside(
        "A pin for sound was asked where nobody may speak to a camera.", "未授权语音广播，却请求放行语音。"
    ),
    "pin_rate": inside("A pin was asked for a higher rate than any view needs.", "请求放行的速率过高。"),
    "pin_count": inside("More pins were asked for than there may be views.", "请求的放行数超过允许的观看路数。"),
}

_LEARNED = {
    "uplink_without_site": inside(
        "The uplink told an address before there is a configuration.", "尚无配置，上联口却上报了地址。"
    ),
    "tunnel_not_named": inside(
        "An address was told for a tunnel whose endpoint is no name.", "为端点不是域名的隧道上报了地址。"
    ),
    "endpoint_no_host": inside(
        "The DNS server told an address that no host can have.", "DNS 给出的地址不能用作主机地址。"
    ),
    "not_applied": inside("What the uplink learned could not be put to use.", "上联口获得的信息未能应用。"),
}

REQUESTS = _FORM | _PINS | _LEARNED
