"""What the keeper can meet when it applies a site, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

APPLY = {
    "ports_swapped": Words(
        "The port {port} has the MAC {found}, not {expected}: the cables may be swapped.",
        "Compare the labels and the cables.",
        "网口 {port} 的 MAC 为 {found}，应为 {expected}：网线可能插反。",
        "请核对标签与网线。",
    ),
    "port_missing": Words(
        "There is no port {port}.", "Check the cable or the adapter.", "没有网口 {port}。", "请检查网线或网卡。"
    ),
    "ruleset_refused": Words(
        "The kernel does not take the rules of {namespace}: {what}.",
        "Report this; what ran before goes on.",
        "内核未接受 {namespace} 的规则：{what}。",
        "请上报；原配置继续运行。",
    ),
    "not_held": Words(
        "After applying, {namespace} does not hold: {what}.",
        "Report this; what ran before goes on.",
        "应用后 {namespace} 不符合：{what}。",
        "请上报；原配置继续运行。",
    ),
    "apply_refused": Words(
        "The settings of {namespace} could not be made: {what}.",
        "Report this; what ran before goes on.",
        "{namespace} 的设置未能完成：{what}。",
        "请上报；原配置继续运行。",
    ),
    "wireguard_missing": Words(
        "This kernel has no WireGuard and {tunnel} is not there.",
        "Use a kernel with WireGuard.",
        "内核没有 WireGuard，且没有 {tunnel}。",
        "请使用带 WireGuard 的内核。",
    ),
    "key_damaged": Words(
        "The private key of {tunnel} cannot be read.",
        "Move the file {tunnel}.key away, apply again, and give the city the new public key.",
        "{tunnel} 的私钥无法读取。",
        "请移走文件 {tunnel}.key，重新应用，并把新公钥告知市级平台。",
    ),
    "password_damaged": Words(
        "The password file of this device cannot be read.",
        "Write it anew: one line of text.",
        "该设备的密码文件无法读取。",
        "请重新写入一行文本。",
    ),
    "password_missing": Words(
        "There is no password for this device; it cannot register.",
        "Write it into the secrets folder: one line in the file recorder-ID, or platform for the city.",
        "没有该设备的密码，无法注册。",
        "请在密码目录写入一行：录像机为 recorder-ID，市级平台为 platform。",
    ),
    "site_damaged": Words(
        "The stored configuration cannot be read; everything stays shut.",
        "Apply the site file again.",
        "已存配置无法读取，全部保持关闭。",
        "请重新应用站点文件。",
    ),
    "keeper_away": Words(
        "The keeper does not answer.",
        "Is the box running? Are you root?",
        "守护进程没有应答。",
        "设备是否在运行？是否为 root？",
    ),
    "file_unreadable": Words(
        "The file cannot be read: {what}.", "Check its name.", "文件无法读取：{what}。", "请检查文件名。"
    ),
}
