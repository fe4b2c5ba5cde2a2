"""Why a change of the configuration was refused or undone."""

from __future__ import annotations

from netconf.sentences.form import Words

CHANGES = {
    "change_pending": Words(
        "Another change is waiting for its confirmation.",
        "Confirm or undo it first; it is undone by itself when its time is up.",
        "另一项变更正在等待确认。",
        "请先确认或撤销；到时它会自动撤销。",
    ),
    "change_undone": Words(
        "The change did not hold and was undone.",
        "What ran before goes on.",
        "变更未生效，已撤销。",
        "原配置继续运行。",
    ),
    "city_unknown": Words(
        "This box does not know a city's key.",
        "Enrol it with the city.",
        "本设备尚无市级平台密钥。",
        "请先向市级平台登记。",
    ),
    "confirm_seconds_range": Words(
        "The time to confirm is 10 to 600 seconds.",
        "Choose a time in between.",
        "确认时限为 10 至 600 秒。",
        "请在此范围内选择。",
    ),
    "disk_refuses": Words(
        "The disk does not take the change; what ran before goes on.",
        "Is the disk full or damaged?",
        "磁盘无法保存该变更，原配置继续运行。",
        "请检查磁盘是否已满或损坏。",
    ),
    "answer_other_change": Words(
        "The city's answer belongs to another change.", "", "市级平台的应答属于另一项变更。", ""
    ),
    "layer_city_field": Words(
        "{name} is settled by the city, signed; it cannot be changed here.",
        "Ask the city.",
        "{name} 由市级平台签名下发，此处不能修改。",
        "请联系市级平台。",
    ),
    "layer_expired": Words(
        "The city's configuration has expired.",
        "The city must sign it anew.",
        "市级配置已过期。",
        "请市级平台重新签发。",
    ),
    "layer_fields": Words(
        "The city's configuration is not of the agreed form.",
        "The city must sign it anew.",
        "市级配置格式不符。",
        "请市级平台重新签发。",
    ),
    "layer_old": Words(
        "The city's configuration is not newer than one that was tried before.",
        "The city must raise its revision.",
        "市级配置不比已试用过的版本新。",
        "请市级平台提高版本号。",
    ),
    "layer_other_device": Words(
        "The city's configuration is for another device.",
        "Tell the city.",
        "市级配置属于另一台设备。",
        "请告知市级平台。",
    ),
    "layer_other_site": Words(
        "The city's configuration is for another site.", "Tell the city.", "市级配置属于另一站点。", "请告知市级平台。"
    ),
    "layer_owner_field": Words(
        "The city's configuration touches {name}, which is the owner's.",
        "Tell the city.",
        "市级配置涉及业主字段 {name}。",
        "请告知市级平台。",
    ),
    "layer_unsigned": Words(
        "The city's configuration is not signed by the city's key.",
        "Tell the city.",
        "市级配置未经市级平台密钥签名。",
        "请告知市级平台。",
    ),
    "no_new_handshake": Words(
        "There was no tunnel handshake since the change.",
        "It is undone unless one comes.",
        "变更后隧道尚未握手。",
        "如无握手将自动撤销。",
    ),
    "not_confirmed": Words(
        "Nobody confirmed the change in time; it was undone.",
        "Try it again where you can reach the box.",
        "变更未在时限内确认，已撤销。",
        "请在能访问本设备的位置重试。",
    ),
    "not_your_change": Words(
        "This change belongs to somebody else.",
        "Only who made it can confirm it.",
        "该变更由他人发起。",
        "只有发起者可以确认。",
    ),
    "nothing_pending": Words("No change is waiting.", "", "没有等待确认的变更。", ""),
    "power_lost": Words(
        "The box was restarted before the change was confirmed; it was undone.",
        "Make it again.",
        "设备在确认前重启，变更已撤销。",
        "请重新操作。",
    ),
    "rejected": Words("The change was undone on request.", "", "变更已按要求撤销。", ""),
    "revision_stale": Words(
        "The configuration has changed since this page was opened.",
        "Load the page again.",
        "打开页面后配置已变化。",
        "请刷新页面。",
    ),
    "site_refused": Words("The configuration is not good.", "Mend what is named.", "配置有误。", "请修改所列各项。"),
    "tunnel_own_key_unknown": Words(
        "The city's concentrator expects a key of {tunnel} that this box does not have.",
        "Have the city ask the box for the tunnel's key and sign its layer again.",
        "市级汇聚设备期望的 {tunnel} 公钥不是本机的。",
        "请市级平台重新向本机索取该隧道公钥并重新签发配置。",
    ),
    "tunnel_unknown": Words(
        "The city asked for the key of {tunnel}, which this site does not have.",
        "Have the city compare its list of tunnels with the site's.",
        "市级平台索取 {tunnel} 的公钥，但本站没有这条隧道。",
        "请市级平台核对本站的隧道列表。",
    ),
    "tunnel_key_own": Words(
        "The peer key of {tunnel} is this box's own.",
        "The city must give its hub's key.",
        "{tunnel} 的对端公钥是本机公钥。",
        "请市级平台提供集线器公钥。",
    ),
}
