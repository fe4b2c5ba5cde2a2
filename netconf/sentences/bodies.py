"""What the body of a message can break: MANSCDP, SDP, MANSRTSP (GB/T 28181), as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words, broken

_MANSCDP = {
    "body_long": broken("The body is longer than is read.", "消息体超过可读取的长度。"),
    "charset_unknown": broken("The body declares a charset that is not read here.", "消息体声明的字符集不受支持。"),
    "charset_bytes": broken("The body is in none of the charsets that are read here.", "消息体的字符集无法识别。"),
    "charset_wrong": broken("The body is in another charset than it declares.", "消息体实际字符集与声明不符。"),
    "no_encoding": broken("The body declares no charset.", "消息体未声明字符集。"),
    "control_characters": broken("The body holds control characters.", "消息体含控制字符。"),
    "xml_syntax": broken("The body is not XML.", "消息体不是有效的 XML。"),
    "xml_mended": broken("The body's XML had an end tag too many or too few.", "消息体 XML 的结束标签多余或缺失。"),
    "xml_empty": broken("The body's XML is empty.", "消息体 XML 为空。"),
    "xml_deep": broken("The body's XML has too many elements, or too deep ones.", "消息体 XML 元素过多或嵌套过深。"),
    "xml_element": broken(
        "The body's XML has an element of a form that is not read here.", "消息体 XML 中有不受支持的元素形式。"
    ),
    "xml_text_long": broken("A text in the body is too long.", "消息体中的文本过长。"),
    "xml_doctype": broken(
        "The body's XML declares a document type, which is never read.", "消息体 XML 含 DOCTYPE，一律拒绝。"
    ),
    "xml_instruction": broken("The body's XML holds a processing instruction.", "消息体 XML 含处理指令。"),
    "xml_comment": broken("The body's XML holds a comment.", "消息体 XML 含注释。"),
    "element_twice": broken("An element that may stand once stands twice.", "只允许出现一次的元素重复出现。"),
    "no_cmdtype": broken("There is no CmdType.", "缺少 CmdType。"),
    "no_sn": broken("There is no SN.", "缺少命令序列号 SN。"),
    "device_id": broken("DeviceID is not a code of 2 to 20 digits.", "DeviceID 不是 2 至 20 位数字编码。"),
    "item_device_id": broken("An item has no code of 2 to 20 digits.", "列表项的编码不是 2 至 20 位数字。"),
    "value_form": broken("A value is not what its field allows.", "字段取值不符合规定。"),
    "items_many": broken("A list has more items than are read.", "列表项数超过可读取的数量。"),
    "ptz_form": broken("PTZCmd is not eight bytes with their check sum.", "PTZCmd 不是带校验的 8 字节指令。"),
    "ptz_contrary": broken("PTZCmd goes two contrary ways at once.", "PTZCmd 同时要求相反的两个方向。"),
    "ptz_unknown": broken("PTZCmd holds an instruction that annex A.3 does not list.", "PTZCmd 指令不在附录 A.3 中。"),
}

_SDP = {
    "sdp_long": broken("The SDP is longer than is read.", "SDP 超过可读取的长度。"),
    "sdp_start": broken("The SDP does not begin with v=0, or has too many lines.", "SDP 未以 v=0 开头，或行数过多。"),
    "sdp_line": broken("A line of the SDP cannot be read.", "SDP 中有一行无法解析。"),
    "sdp_media_lines": broken("The SDP does not have just one media line.", "SDP 的媒体行（m=）不是恰好一行。"),
    "sdp_media": broken("The media line of the SDP cannot be read.", "SDP 的媒体行（m=）无法解析。"),
    "sdp_connection": broken("The SDP does not name one IPv4 address.", "SDP 的连接行（c=）不是一个 IPv4 地址。"),
    "no_y": broken("The SDP has no y= (SSRC).", "SDP 缺少 y=（SSRC）。"),
    "y_form": broken("The y= of the SDP is not ten digits.", "SDP 的 y= 不是 10 位数字。"),
    "origin_form": broken(
        "The o= of the SDP does not begin with a code of 20 digits.", "SDP 的 o= 未以 20 位编码开头。"
    ),
    "times_missing": Words(
        "Recordings were asked for without a start and an end.",
        "Ask for them with t=start end, in seconds.",
        "点播录像未给出起止时间。",
        "请以 t=起始 结束（秒）请求。",
    ),
}

_MANSRTSP = {
    "mansrtsp_long": broken("A playback control is longer than is read.", "回放控制消息超过可读取的长度。"),
    "mansrtsp_charset": broken("A playback control is not in ASCII.", "回放控制消息不是 ASCII。"),
    "mansrtsp_request": broken(
        "A playback control is none of PLAY, PAUSE and TEARDOWN.", "回放控制不是 PLAY、PAUSE 或 TEARDOWN。"
    ),
    "mansrtsp_header": broken("A header field of a playback control cannot be read.", "回放控制的头域无法解析。"),
    "mansrtsp_cseq": broken("The CSeq of a playback control is no number.", "回放控制的 CSeq 不是数字。"),
    "mansrtsp_scale": broken("The speed of a playback (Scale) cannot be read.", "回放倍速（Scale）无法解析。"),
    "mansrtsp_range": broken("The place in a playback (Range) cannot be read.", "回放位置（Range）无法解析。"),
}

BODIES = _MANSCDP | _SDP | _MANSRTSP

#: A peer that is read strictly is refused for what others are forgiven; ``{inner}`` says what that was.
STRICT = Words(
    "{inner} This peer is read strictly, so the message was refused.",
    'Write reading = "lenient" for it, if its maker does not mend that.',
    "{inner}该对端按严格模式解析，消息已拒绝。",
    "如厂家无法修正，请将其 reading 设为 lenient。",
)
#: What is wrong with one item of a list costs that item, not the list.
ITEM = Words(
    "An item of a list was left out: {inner}",
    "If it comes from a device of yours, keep a capture of it for its maker.",
    "列表中有一项被略去：{inner}",
    "如来自自有设备，请抓包交厂家。",
)
