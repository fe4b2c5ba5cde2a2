"""What the city's console does not do, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

CITY_CONSOLE = {
    "city_only": Words(
        "That concerns the whole city; your scope is {scope}.",
        "Ask somebody whose scope is the whole city.",
        "此内容涉及全市，您的管辖范围为 {scope}。",
        "请由管辖全市的人员操作。",
    ),
    "form_incomplete": Words(
        "The form is not filled in as it should be.",
        "Go back and fill in each field.",
        "表单填写不完整或格式不符。",
        "请返回并逐项填写。",
    ),
    "named_otherwise": Words(
        "What cannot be undone is named once more: {name} was expected.",
        "Write exactly that, or leave it.",
        "不可撤销的操作须再次输入名称：应为 {name}。",
        "请准确输入，或放弃操作。",
    ),
    "password_old": Words(
        "The password that you have now is another one.",
        "Try again; a security administrator can give you a new one.",
        "当前密码不正确。",
        "请重试，或由安全管理员重置。",
    ),
    "passwords_differ": Words(
        "The two passwords differ.", "Write the new one twice.", "两次输入的新密码不一致。", "请重新输入两次新密码。"
    ),
    "sign_in_often": Words(
        "Too many tries to sign in came from this address.",
        "Wait a minute, then try again.",
        "该地址登录尝试过于频繁。",
        "请稍候一分钟再试。",
    ),
}
