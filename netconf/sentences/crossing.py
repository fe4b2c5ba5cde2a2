"""What a side can break toward the ferry, as ``netconf.words`` says it: each of these hangs up on the side."""

from __future__ import annotations

from netconf.sentences.form import inside

_RECORDS = {
    "verify_frame": inside("A record has not the frame of one.", "记录的帧格式不正确。"),
    "verify_unknown_record": inside("A record is of a kind that does not exist.", "记录类型不存在。"),
    "verify_wrong_sender": inside("A record came from the side that may not send it.", "记录来自无权发送它的一侧。"),
    "verify_descriptors": inside("A record came with sockets that do not belong to it.", "记录附带了不应有的套接字。"),
    "verify_short": inside("A record ends too early.", "记录不完整。"),
    "verify_trailing": inside("Something stands behind a record's end.", "记录结尾之后还有内容。"),
    "verify_digits": inside("A field of digits holds something else.", "数字字段含其他字符。"),
    "verify_code": inside("A code is not of 20 digits.", "编码不是 20 位数字。"),
    "verify_number": inside("A number is not written in its one way.", "数字的写法不规范。"),
    "verify_numbers": inside("A list of numbers is too long.", "数字列表过长。"),
    "verify_range": inside("A number is out of its range.", "数字超出范围。"),
    "verify_word": inside("A word is none of its list.", "取值不在允许的列表中。"),
    "verify_label_long": inside("A text is too long.", "文本过长。"),
    "verify_label_utf8": inside("A text is not UTF-8.", "文本不是 UTF-8。"),
    "verify_label_character": inside("A text holds what cannot be seen.", "文本含不可见字符。"),
    "record_cut": inside("A record was cut short, or came with too many sockets.", "记录被截断，或附带的套接字过多。"),
    "record_unexpected": inside("A record came that nobody takes here.", "收到此处不受理的记录。"),
}

_SOCKETS = {
    "descriptor_not_socket": inside("What was handed over is no socket.", "移交的不是套接字。"),
    "descriptor_not_media": inside(
        "The socket handed over is for neither UDP nor TCP.", "移交的套接字既非 UDP 也非 TCP。"
    ),
    "descriptor_not_udp": inside("The socket handed over is not for UDP.", "移交的套接字不是 UDP。"),
    "descriptor_foreign_namespace": inside(
        "The socket handed over is of another network.", "移交的套接字属于另一网络。"
    ),
    "descriptor_not_connected": inside("The socket handed over has no peer.", "移交的套接字没有对端。"),
    "sink_unexpected": inside(
        "A socket for the city's media came that nobody waits for.", "收到无人等待的市级媒体套接字。"
    ),
    "reports_unexpected": inside(
        "A socket for reports (RTCP) came that belongs to no media, or came twice.",
        "收到不属于任何媒体或重复的 RTCP 套接字。",
    ),
    "sink_foreign_address": inside(
        "The socket for the city's media goes to an address outside the network that was agreed.",
        "市级媒体套接字的地址不在约定网段内。",
    ),
    "sink_of_another_platform": inside(
        "A view of one platform was to be sent to the media network of another.",
        "一个平台的观看要发往另一平台的媒体网段。",
    ),
    "source_not_reserved": inside(
        "The socket for a recorder's media is not the one that was reserved.", "录像机媒体套接字不是预留的那个。"
    ),
    "payload_type_not_answered": inside(
        "A recorder's media is of another payload type than the recorder answered.",
        "录像机媒体的负载类型与其应答不符。",
    ),
    "stream_not_asked": inside(
        "A recorder was asked for another stream than the one that was granted.", "向录像机请求的码流与所许可的不同。"
    ),
    "port_not_free": inside(
        "A media port was reserved that is taken or outside the range.", "预留的媒体端口已占用或超出范围。"
    ),
}

_ORDERS = {
    "open_without_sink": inside("A view was asked for without a socket to send it to.", "请求观看但没有目的套接字。"),
    "control_of_live": inside(
        "Somebody wanted to steer a live view as if it were a recording.", "试图像录像一样控制实时画面。"
    ),
    "order_twice": inside("An order came twice.", "同一指令重复。"),
    "talk_twice": inside("A talk was opened twice.", "同一对讲重复打开。"),
    "talk_ready_unanswered": inside(
        "A talk was ready before the recorder had agreed.", "录像机尚未同意，对讲却已就绪。"
    ),
    "times_contrary": inside(
        "Recordings were asked for that end before they begin.", "请求的录像结束时间早于开始时间。"
    ),
    "values_range": inside("An order's numbers are out of their ranges.", "指令的数值超出范围。"),
    "call_event": inside("A record does not fit what its view is at.", "记录与观看所处的阶段不符。"),
}

CROSSING = _RECORDS | _SOCKETS | _ORDERS
