"""What a machine can lack for the lab, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

LAB = {
    "lab_no_program": Words(
        "The program {name} is not installed.",
        "apt-get install {package}",
        "未安装程序 {name}。",
        "apt-get install {package}",
    ),
    "lab_no_tun": Words(
        "/dev/net/tun cannot be opened by this user.",
        "Run as root, or have root allow it.",
        "当前用户无法打开 /dev/net/tun。",
        "请以 root 运行，或由 root 授权。",
    ),
    "lab_no_namespaces": Words(
        "This user cannot make namespaces.",
        "Run as root, or allow user namespaces.",
        "当前用户无法创建命名空间。",
        "请以 root 运行，或允许用户命名空间。",
    ),
    "lab_no_library": Words(
        "The library {name} is not installed.",
        "apt-get install {package}",
        "未安装库 {name}。",
        "apt-get install {package}",
    ),
    "lab_no_kernel": Words(
        "The kernel lacks {what}.", "Use a Debian kernel.", "内核缺少 {what}。", "请使用 Debian 内核。"
    ),
}
