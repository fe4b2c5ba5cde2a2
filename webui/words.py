"""The words of the pages, Chinese and English. Codes of the box are put into words by ``netconf.words``."""

from __future__ import annotations

from netconf.words import Language

LANGUAGES: tuple[Language, ...] = ("zh-CN", "en")

_TABLE: dict[str, tuple[str, str]] = {
    "product": ("雪闸", "snowgate"),
    "overview": ("总览", "Overview"),
    "cameras": ("摄像机", "Cameras"),
    "viewers": ("谁在看", "Who is watching"),
    "changes": ("变更", "Changes"),
    "language": ("English", "中文"),
    "skip": ("跳到内容", "Skip to the content"),
    "login": ("登录", "Log in"),
    "forgot": ("忘记密码", "Forgot the password"),
    "logout": ("退出", "Log out"),
    "password": ("密码", "Password"),
    "password_again": ("再次输入密码", "Password again"),
    "first_title": ("首次设置", "First set-up"),
    "first_text": (
        "请在设备上执行 snowgate first-code，输入得到的一次性代码，并设置登录密码（至少 10 个字符）。",
        "Run snowgate first-code on the box, enter the one-time code that it prints, and choose a password of at least 10 characters.",
    ),
    "code": ("一次性代码", "One-time code"),
    "set": ("设置密码", "Set the password"),
    "code_wrong": ("代码不正确或已过期。", "The code is wrong or has expired."),
    "password_wrong": ("密码不正确。", "The password is wrong."),
    "password_differs": ("两次输入的密码不一致。", "The two passwords differ."),
    "password_length": ("密码须为 10 至 128 个字符。", "The password must have 10 to 128 characters."),
    "password_simple": ("密码过于简单。", "The password is too simple."),
    "locked": ("错误次数过多，请在 {seconds} 秒后重试。", "Too many wrong attempts. Try again in {seconds} seconds."),
    "all_well": ("一切正常。", "All is well."),
    "shared_count": ("市级平台可查看 {count} 路摄像机。", "The city can view {count} cameras."),
    "watched_count": ("当前有 {count} 路正在被观看。", "{count} are being watched now."),
    "not_watched": ("当前无人观看。", "Nobody is watching now."),
    "evidence": ("依据", "Evidence"),
    "next_step": ("下一步", "Next step"),
    "also": ("另外", "Also"),
    "path": ("画面路径", "The picture's path"),
    "stage_recorders": ("录像机", "Recorders"),
    "stage_box": ("本机", "This box"),
    "stage_tunnel": ("隧道", "Tunnel"),
    "handshake": ("握手于 {count} 秒前", "handshake {count} s ago"),
    "stage_city": ("市级平台", "City platform"),
    "good": ("正常", "good"),
    "broken": ("异常", "broken"),
    "online": ("在线", "online"),
    "offline": ("离线", "offline"),
    "unknown": ("未知", "unknown"),
    "channel_id": ("通道编码", "Channel id"),
    "recorder": ("录像机", "Recorder"),
    "coverage": ("覆盖范围", "Coverage"),
    "coverage_A": ("A 行政公共区域", "A public area"),
    "coverage_B": ("B 单位内部", "B inside the premises"),
    "coverage_C": ("C 单位内部及临街公共场所", "C premises facing the street"),
    "shared": ("已共享给市级平台", "Shared with the city"),
    "not_shared": ("未共享", "Not shared"),
    "share": ("共享", "Share"),
    "unshare": ("停止共享", "Stop sharing"),
    "never_shared": ("单位内部的摄像机不能共享。", "A camera inside the premises is never shared."),
    "no_cameras": ("尚未登记摄像机。", "No camera is listed yet."),
    "now": ("正在观看", "Now"),
    "before": ("以前", "Before"),
    "reading_recorded": ("查阅记录本身也会被记录。", "That this list is read is itself recorded."),
    "nobody": ("没有观看记录。", "No view is recorded."),
    "viewer": ("观看方", "Viewer"),
    "camera": ("摄像机", "Camera"),
    "since": ("时长", "For"),
    "bytes": ("流量", "Amount"),
    "ended": ("结束时间", "Ended"),
    "why": ("结果", "Result"),
    "undeclared": ("未声明", "undeclared"),
    "seconds": ("{count} 秒", "{count} s"),
    "lan_settings": ("局域网", "Site network"),
    "address": ("本机地址（含前缀）", "This box's address, with its prefix"),
    "owner_networks": ("可访问此页面的网段", "Networks that may open this page"),
    "uplink_settings": ("上联网络", "Uplink"),
    "uplink_address": ("上联地址（含前缀）", "Uplink address, with its prefix"),
    "gateway": ("网关", "Gateway"),
    "apply": ("应用", "Apply"),
    "apply_hint": (
        "应用后，本页面会自动确认；60 秒内无法确认则自动恢复原设置。",
        "After applying, this page confirms by itself; without that within 60 seconds the old settings come back.",
    ),
    "applying": ("正在应用", "Applying"),
    "applying_text": ("请保持此页面打开。", "Keep this page open."),
    "state_working": ("正在应用……", "Applying…"),
    "state_waiting": ("已应用，正在确认……", "Applied; confirming…"),
    "state_kept": ("已保留新设置。", "The new settings are kept."),
    "state_undone": ("已恢复原设置。", "The old settings are back."),
    "state_refused": ("设置未被接受，原设置继续运行。", "The settings were not taken; the old ones go on."),
    "state_unknown": ("没有这项变更。", "There is no such change."),
    "moving": ("即将转到新地址", "Moving to the new address"),
    "countdown": ("剩余 {count} 秒，之后自动恢复", "{count} s left, then the old settings come back"),
    "back": ("返回", "Back"),
    "revision": ("当前版本", "Revision in use"),
    "undone_title": ("未保留的变更", "Changes that were undone"),
    "none_undone": ("没有。", "None."),
    "pending": ("一项变更正在等待确认。", "A change is waiting for its confirmation."),
    "by_operator": ("设备管理员", "root on the box"),
    "by_web": ("本页面", "this page"),
    "by_agent": ("市级平台", "the city"),
    "refused_title": ("无法完成", "That is not possible"),
    "refused_host": (
        "请使用本机的局域网地址打开此页面。",
        "Open this page by the box's own address in the site network.",
    ),
    "refused_origin": ("该请求不是从本页面发出的。", "The request did not come from this page."),
    "refused_recorder": ("录像机不能访问此页面。", "A recorder may not open this page."),
    "refused_form": ("请填写完整。", "Fill in the form."),
    "not_found": ("没有此页面。", "There is no such page."),
    "not_set_up": ("本机尚未配置。", "This box is not configured yet."),
    "fingerprint": ("本页面密钥指纹 (SHA-256)", "Fingerprint of this page's key (SHA-256)"),
    "updated": ("每 5 秒更新", "Updated every 5 s"),
}


def word(key: str, language: str, **facts: object) -> str:
    """Return a word of the pages; one that is missing is its own key, so that it is seen."""
    found = _TABLE.get(key)
    if found is None:
        return key
    return found[1 if language == "en" else 0].format(**facts)


def language_of(chosen: str | None, accepted: str | None) -> Language:
    """Return the language: what was chosen, else what the browser prefers, else Chinese."""
    for language in LANGUAGES:
        if chosen == language:
            return language
    first = (accepted or "").split(",")[0].strip().lower()
    return "en" if first.startswith("en") else "zh-CN"
