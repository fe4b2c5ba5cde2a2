"""What a SIP message, its Digest or its line can break (RFC 3261), as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words, broken

_MESSAGE = {
    "message_long": broken("The message is longer than is read.", "消息超过可读取的长度。"),
    "start_line": broken("The first line is that of no SIP message.", "首行不是 SIP 消息。"),
    "sip_version": broken("The message is of another version than SIP/2.0.", "消息版本不是 SIP/2.0。"),
    "method_long": broken("The method's name is too long.", "请求方法名过长。"),
    "headers_many": broken("The message has too many header fields.", "消息头域过多。"),
    "header_long": broken("A header field is too long.", "消息头域过长。"),
    "header_name": broken("A line is no header field.", "有一行不是消息头域。"),
    "header_twice": broken("A header field that may stand once stands twice.", "只允许出现一次的头域重复出现。"),
    "header_charset": broken("A header field is not in UTF-8.", "消息头域不是 UTF-8 编码。"),
    "control_character": broken("A header field holds a control character.", "消息头域含控制字符。"),
    "charset": broken("A header field is in no charset that is read here.", "消息头域的字符集无法识别。"),
    "no_end_of_headers": broken("The blank line after the header fields is missing.", "消息头域之后缺少空行。"),
    "no_via": broken("There is no Via.", "缺少 Via。"),
    "no_from": broken("There is no From.", "缺少 From。"),
    "no_to": broken("There is no To.", "缺少 To。"),
    "no_call-id": broken("There is no Call-ID.", "缺少 Call-ID。"),
    "no_cseq": broken("There is no CSeq.", "缺少 CSeq。"),
    "no_contact": broken("There is no Contact.", "缺少 Contact。"),
    "no_subject": broken("There is no Subject (annex K of 2016).", "缺少 Subject（2016 附录 K）。"),
    "no_max_forwards": broken("There is no Max-Forwards.", "缺少 Max-Forwards。"),
    "no_content_length": broken("There is no Content-Length.", "缺少 Content-Length。"),
    "content_length": broken("Content-Length is not the length of the body.", "Content-Length 与消息体长度不符。"),
    "content_type": broken("The body is of a type that is not read here.", "消息体类型不受支持。"),
    "cseq": broken("CSeq is not a number and a method.", "CSeq 格式不正确。"),
    "cseq_method": broken("CSeq names another method than the first line.", "CSeq 中的方法与首行不一致。"),
    "expires_number": broken("Expires is no number.", "Expires 不是数字。"),
    "via": broken("Via cannot be read.", "Via 无法解析。"),
    "via_branch": broken("The branch of Via is too long.", "Via 的 branch 过长。"),
    "via_parameter_twice": broken("A parameter stands twice in Via.", "Via 参数重复。"),
    "branch_form": broken("The branch of Via does not begin with z9hG4bK.", "Via 的 branch 未以 z9hG4bK 开头。"),
    "uri": broken("A SIP address cannot be read.", "SIP URI 无法解析。"),
    "uri_port": broken("A SIP address has a port that does not exist.", "SIP URI 的端口不存在。"),
    "name_addr": broken("From, To or Contact cannot be read.", "From、To 或 Contact 无法解析。"),
    "name_addr_tag": broken("The tag of From or To cannot be read.", "From 或 To 的 tag 无法解析。"),
}

_LINE = {
    "stream_start": broken("What stands on the connection is no SIP.", "连接上收到的不是 SIP 消息。"),
    "stream_header_long": broken("The header fields on a connection do not end.", "连接上的消息头域过长。"),
    "stream_content_length": broken(
        "A message on a connection has no Content-Length, or two.", "连接上的消息缺少 Content-Length 或重复。"
    ),
    "tcp_message_slow": broken("A message on a connection did not end in time.", "连接上的消息未在时限内收完。"),
    "tcp_silent": Words("A connection on which nothing came was closed.", "", "长时间没有数据的连接已关闭。", ""),
    "tcp_too_many": Words(
        "No further connection can be taken now.",
        "If it stays so, find out who opens so many.",
        "当前连接数已满。",
        "若持续出现，请查明来源。",
    ),
    "tcp_too_many_of_one_host": Words(
        "One address has opened too many connections.",
        "Find out what it is; a recorder needs one.",
        "同一地址打开的连接过多。",
        "请查明来源；一台录像机只需一个连接。",
    ),
}

#: Only SIP's own bookkeeping: an answer to nothing, a second copy from elsewhere.
_MATCHING = {
    "response_stray": Words("An answer came that belongs to no question.", "", "收到没有对应请求的应答。", ""),
    "response_foreign_source": Words(
        "An answer came from another address than the one asked.",
        "If it comes again, find out what that address is.",
        "应答来自未被询问的地址。",
        "若反复出现，请查明该地址。",
    ),
    "request_foreign_source": Words(
        "A request was repeated from another address.",
        "If it comes again, find out what that address is.",
        "同一请求从另一地址重复收到。",
        "若反复出现，请查明该地址。",
    ),
    "ack_stray": Words("An ACK came that belongs to no call.", "", "收到没有对应呼叫的 ACK。", ""),
    "too_many_transactions": Words(
        "More requests wait for their end than are kept; new ones are dropped.",
        "If it stays so, find out who sends so many.",
        "等待处理的请求过多，新请求被丢弃。",
        "若持续出现，请查明来源。",
    ),
    "too_many_legs": Words(
        "No further call can be opened now.", "End another one first.", "当前呼叫数已满。", "请先结束其他呼叫。"
    ),
    "no_such_call": Words("A request belongs to a call that is over.", "", "请求所属的呼叫已结束。", ""),
    "re_invite": Words(
        "A running call cannot be changed by a second INVITE.",
        "The viewer ends it and opens another.",
        "不能用第二次 INVITE 更改进行中的呼叫。",
        "请结束后重新打开。",
    ),
}

_DIGEST = {
    "digest_scheme": broken("The challenge or the answer to it is not Digest.", "鉴权方式不是 Digest。"),
    "digest_fields": broken("The Digest fields cannot be read.", "Digest 字段无法解析。"),
    "digest_field_twice": broken("A Digest field stands twice.", "Digest 字段重复。"),
    "digest_malformed": broken(
        "A recorder's Digest answer lacks a field, or is for another address than it was sent to.",
        "录像机的 Digest 应答缺少字段，或与请求地址不符。",
    ),
    "digest_realm": Words(
        "The city's platform asks for the password of another realm.",
        "Ask the city for its realm.",
        "市级平台要求的是另一 realm 的密码。",
        "请向市级平台确认 realm。",
    ),
    "digest_algorithm": Words(
        "The city's platform asks for a Digest that is not done here (MD5 and SHA-256 are).",
        "Ask the city to allow one of them.",
        "市级平台要求的 Digest 算法不受支持（支持 MD5 与 SHA-256）。",
        "请市级平台允许其中之一。",
    ),
    "digest_qop": Words(
        "The city's platform asks for a Digest over the body, which is not done here.",
        "Ask the city to allow qop=auth.",
        "市级平台要求 qop=auth-int，不受支持。",
        "请市级平台允许 qop=auth。",
    ),
    "stale": Words(
        "A recorder answered a challenge too late; it was given a new one.",
        "",
        "录像机的鉴权应答过期，已重新质询。",
        "",
    ),
    "password_locked": Words(
        "A recorder gave three wrong passwords; for ten minutes it is not asked again.",
        "Correct the password in the recorder, then wait ten minutes.",
        "录像机三次密码错误，十分钟内不再受理。",
        "请更正录像机中的密码，十分钟后重试。",
    ),
}

SIP = _MESSAGE | _LINE | _MATCHING | _DIGEST
