"""What the owner's page writes into its log."""

from __future__ import annotations

from netconf.sentences.form import Words

PAGES = {
    "page_address_away": Words(
        "The page's address is not there yet.", "It is tried again.", "页面地址尚不可用。", "正在重试。"
    ),
    "page_change_asked": Words("The owner's page asks for a change.", "", "业主页面请求变更。", ""),
    "page_connection": Words(
        "A browser's connection ended in the middle; often it does not know the certificate yet.",
        "",
        "浏览器连接中断，多为尚未信任证书。",
        "",
    ),
    "page_entered": Words("Somebody logged in.", "", "有人登录。", ""),
    "page_locked": Words(
        "Too many wrong passwords from one address; it must wait for five minutes.",
        "Find out who that is.",
        "同一地址密码错误次数过多，须等待五分钟。",
        "请查明来源。",
    ),
    "page_open": Words("The owner's page is open.", "", "业主页面已开放。", ""),
    "metrics_open": Words(
        "Figures for the city's monitoring are open on a tunnel's address.",
        "",
        "已在隧道地址上向市级监控开放指标。",
        "",
    ),
    "page_password_set": Words("The page's first password was set.", "", "已设置页面密码。", ""),
    "page_password_wrong": Words("A wrong password was given.", "", "密码错误。", ""),
}
