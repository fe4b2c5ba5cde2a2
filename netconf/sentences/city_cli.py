"""What ``snowgate city`` says to a person, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words

CITY_CLI = {
    "city_not_installed": Words(
        "The city's side is not installed here ({name} is missing); a box needs none of it.",
        "On the city's machine: pip install 'snowgate[city]'.",
        "本机未安装市平台侧组件（缺少 {name}）；设备无需安装。",
        "请在市平台服务器上执行：pip install 'snowgate[city]'。",
    ),
    "city_not_made": Words(
        "There is no city in {folder}.",
        "Make one with `snowgate city init`, or name its folder with --folder.",
        "{folder} 中没有市平台数据。",
        "请先执行 `snowgate city init`，或用 --folder 指定目录。",
    ),
    "city_made": Words(
        "There is a city in {folder} already; its keys are never replaced.",
        "Choose another folder.",
        "{folder} 中已有市平台数据，其密钥不会被覆盖。",
        "请使用其他目录。",
    ),
    "city_settings": Words(
        "The city's settings are not right: {field} ({file}).",
        "Correct the named field.",
        "市平台设置有误：{field}（{file}）。",
        "请修改该字段。",
    ),
    "city_keys": Words(
        "A key of the city is damaged: {file}.",
        "Put it back from its copy; never make another one: boxes know the city by it.",
        "市平台密钥文件损坏：{file}。",
        "请从备份恢复，切勿重新生成：设备以此识别市平台。",
    ),
    "audit_whole": Words("The record is whole: {lines} lines.", "", "审计记录完整，共 {lines} 条。", ""),
    "audit_broken": Words(
        "The record was changed: line {line} does not follow from the one before it.",
        "Compare it with its last export, and find out who may write to the database.",
        "审计记录被篡改：第 {line} 条与前一条不衔接。",
        "请与最近导出对比，并查明谁可写数据库。",
    ),
}
