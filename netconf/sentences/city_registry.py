"""What the city's registry does not do, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

_PEOPLE = {
    "not_allowed": Words(
        "{name} ({role}) may not do that.",
        "Ask somebody whose role has this right.",
        "{name}（{role}）无权执行此操作。",
        "请由具有该权限的人员操作。",
    ),
    "sign_in_wrong": Words(
        "Name or password is wrong, or the account is locked for a while.",
        "Try again; after five wrong tries wait fifteen minutes.",
        "用户名或密码错误，或账号暂时锁定。",
        "请重试；连续五次错误后须等待十五分钟。",
    ),
    "sign_in_needed": Words("Sign in first.", "Sign in, then ask again.", "请先登录。", "请登录后重试。"),
    "password_short": Words(
        "A password has at least {least} characters.",
        "Choose a longer one.",
        "密码至少 {least} 个字符。",
        "请使用更长的密码。",
    ),
    "person_form": Words(
        "A name is 2 to 64 letters, digits, dots, lines or @.",
        "Choose another name.",
        "用户名为 2 至 64 个字母、数字、点、横线或 @。",
        "请更换用户名。",
    ),
    "person_known": Words(
        "There is somebody called {name} already.", "Choose another name.", "用户 {name} 已存在。", "请更换用户名。"
    ),
    "person_unknown": Words(
        "There is nobody called {name}.", "Look at the list.", "没有用户 {name}。", "请查看用户列表。"
    ),
    "person_self": Words(
        "Nobody changes his own rights.",
        "Ask another security administrator.",
        "不能更改自己的权限。",
        "请由其他安全管理员操作。",
    ),
    "role_unknown": Words("There is no role {role}.", "Roles: {known}.", "没有角色 {role}。", "可用角色：{known}。"),
    "scope_form": Words(
        "A scope is the beginning of a civil code: 0, 2, 4, 6 or 8 digits.",
        "Leave it empty for the whole city.",
        "管辖范围为行政区划代码的前 0、2、4、6 或 8 位。",
        "留空表示全市。",
    ),
}

_SITES = {
    "site_unknown": Words(
        "There is no site {site}.", "Look at the list of sites.", "没有站点 {site}。", "请查看站点列表。"
    ),
    "site_known": Words(
        "There is a site {site} already.", "Choose its own id.", "站点 {site} 已存在。", "请使用其自身编码。"
    ),
    "site_form": Words(
        "A site's {field} is not of the form that it must have.",
        "An id has 20 digits, a civil code 2 to 8, a name up to 64 printable characters.",
        "站点的 {field} 格式不符。",
        "编码为 20 位数字，行政区划代码 2 至 8 位，名称不超过 64 个可见字符。",
    ),
    "platform_form": Words(
        "A platform's {field} is not of the form that it must have.",
        "An id has 20 digits; a key is P-256 (DER, base64).",
        "平台的 {field} 格式不符。",
        "编码为 20 位数字；密钥为 P-256（DER、base64）。",
    ),
    "site_own": Words(
        "A site's own fields may not hold {field}.",
        "Only the city's parts may be there, without `site` and `tunnel`.",
        "站点自有字段中不得包含 {field}。",
        "仅可填写市级部分，且不含 `site` 与 `tunnel`。",
    ),
    "site_revoked": Words(
        "Site {site} was revoked; that does not end.",
        "Add a new site for a new box.",
        "站点 {site} 已吊销，且不可恢复。",
        "请为新设备添加新站点。",
    ),
    "outside_scope": Words(
        "That civil code is outside of your scope ({scope}).",
        "Ask somebody of that district.",
        "该行政区划代码不在您的管辖范围（{scope}）内。",
        "请由所属地区人员操作。",
    ),
    "template_form": Words(
        "A template may not hold that: {part}.",
        "Only the city's parts, without `site` and `tunnel`, may be in it.",
        "模板中不得包含：{part}。",
        "仅可包含市级部分，且不含 `site` 与 `tunnel`。",
    ),
}

_APPROVALS = {
    "action_unknown": Words(
        "There is nothing called {action} that a second person approves.",
        "Choose template, revoke-all or ca.",
        "没有需要双人批准的操作 {action}。",
        "可选 template、revoke-all 或 ca。",
    ),
    "approval_unknown": Words(
        "There is no such request ({number}).", "Look at the list.", "没有该申请（{number}）。", "请查看列表。"
    ),
    "approval_over": Words(
        "Request {number} was judged already, or is too old.",
        "Ask anew.",
        "申请 {number} 已处理或已过期。",
        "请重新申请。",
    ),
    "approval_missing": Words(
        "Nobody has approved that ({action}).",
        "Ask for it, and let a second person approve it within a week.",
        "该操作（{action}）尚未获批准。",
        "请提出申请，并由第二人在一周内批准。",
    ),
}

CITY_REGISTRY = _PEOPLE | _SITES | _APPROVALS
