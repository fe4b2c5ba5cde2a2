"""What the city's server refuses before anything is looked at, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words, broken

CITY_API = {
    "certificate_missing": Words(
        "Whoever asks this must show a certificate of the city's.",
        "Enrol the box or the concentrator first.",
        "该请求须出示市平台签发的证书。",
        "请先完成设备或集中器注册。",
    ),
    "certificate_unknown": Words(
        "The city does not know this certificate.",
        "Enrol again. If the registry was restored from a backup, ask once more with the device's own key.",
        "市平台没有该证书的记录。",
        "请重新注册；若登记库是从备份恢复的，设备会以自身密钥再次请求。",
    ),
    "certificate_revoked": Words(
        "This certificate was revoked.",
        "Ask the city why; a box asks for its state by its own key.",
        "该证书已被吊销。",
        "请向市平台了解原因。",
    ),
    "certificate_expired": Words(
        "This certificate has run out.",
        "The box asks for a new one with its own key; see that it does.",
        "该证书已过期。",
        "设备会以自身密钥申请新证书，请确认其已执行。",
    ),
    "csrf_missing": Words(
        "The request did not come from a page of this console.",
        "Open the console anew and try again.",
        "该请求并非来自本控制台页面。",
        "请重新打开控制台后再试。",
    ),
    "taken": Words(
        "Somebody else was faster: that is taken now.",
        "Look at it anew, then decide.",
        "他人已抢先完成，该项已被占用。",
        "请刷新后再决定。",
    ),
    "database_away": Words(
        "The registry's database does not answer.",
        "Sites go on without it. See whether it runs and has room on its disk.",
        "登记库无应答。",
        "站点不受影响。请检查数据库是否运行、磁盘是否已满。",
    ),
    "body_long": broken("A request is longer than is read.", "请求过长。"),
    "body_form": broken("A request is no JSON object as we read it.", "请求不是可接受的 JSON 对象。"),
    "body_fields": broken("A request has not the fields that it should have.", "请求的字段不符。"),
    "number_form": Words(
        "{field} is no number from 0 to {most}.",
        "Ask for the list without it, and go on from what that answers.",
        "参数 {field} 不是 0 到 {most} 之间的整数。",
        "请先不带该参数查询，再按返回结果继续。",
    ),
    "no_such_page": broken("There is nothing at this address.", "该地址没有内容。"),
    "inside": Words(
        "Something went wrong within the city's server; nothing was changed.",
        "Look at its log, and send that to the maker.",
        "市平台服务内部出错，未作任何更改。",
        "请查看日志并提交厂家。",
    ),
    "enrol_refused": Words(
        "A request to be enrolled was refused.",
        "Many from one source are somebody who guesses.",
        "一个注册请求被拒绝。",
        "若同一来源大量出现，说明有人在猜测注册码。",
    ),
}
