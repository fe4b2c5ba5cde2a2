"""Why a change whose rules are new was not applied: its proof was red, or there was none."""

from __future__ import annotations

from netconf.sentences.form import Words, inside

PROOFS = {
    "proof_red": Words(
        "The rules of this change failed their proof, so it was not applied; what ran before goes on.",
        "Send the proof page to whoever maintains this box: either the rules or the proof are wrong.",
        "此项变更的规则未通过验证，未应用；原配置继续运行。",
        "请将验证页面发给维护方：规则或验证本身有误。",
        "{count} cases are red, the first of them {cases}; the page is {page}.",
        "{count} 项为红，前几项为 {cases}；页面在 {page}。",
    ),
    "proof_missing": Words(
        "There is no proof that the rules of this change hold, so it was not applied; what ran before goes on.",
        "Try again. If it stays so: is snowgate-prove running? Root on the box may do without: snowgate apply --without-proof.",
        "无法证明此项变更的规则有效，未应用；原配置继续运行。",
        "请重试。如仍如此，请检查 snowgate-prove 是否运行；设备 root 可用 snowgate apply --without-proof 跳过。",
        "What is missing: {what}.",
        "原因：{what}。",
    ),
    "proof_running": Words(
        "The change is still being proven and is not applied yet.",
        "Wait for its proof; it takes seconds, at most a minute and a half.",
        "该变更仍在验证，尚未应用。",
        "请等待验证完成，通常几秒，最多一分半钟。",
    ),
    "proof_page_green": Words(
        "The rules hold: all of {cases} packets became what they must.",
        "",
        "规则有效：全部 {cases} 项均符合预期。",
        "",
    ),
    "proof_page_red": Words(
        "The rules do not hold: {red} of {cases} packets became what they must not.",
        "Do not load these rules. The red lines of the page say which packets they are.",
        "规则无效：{cases} 项中有 {red} 项不符合预期。",
        "请勿加载这些规则；页面中标红的行即为不符合的项。",
    ),
    "proof_no_scapy": Words(
        "The proof needs scapy, which is not installed ({what}).",
        "Install it: pip install 'snowgate[prove]'.",
        "验证需要 scapy，但未安装（{what}）。",
        "请安装：pip install 'snowgate[prove]'。",
    ),
    "proof_no_room": Words(
        "The proof could not make namespaces of its own: {what}.",
        "Run it as root, or where user namespaces are allowed.",
        "无法为验证建立独立的命名空间：{what}。",
        "请以 root 运行，或在允许用户命名空间的环境中运行。",
    ),
    "proof_rules_refused": Words(
        "The kernel does not take these rules: {what}.",
        "They are no rules of this box; make them anew from its configuration.",
        "内核不接受这些规则：{what}。",
        "它们不是本设备的规则，请由其配置重新生成。",
    ),
    "proof_not_kept": Words(
        "The result of the proof could not be written: {what}.",
        "Is there room, and may this user write there?",
        "验证结果无法写入：{what}。",
        "请检查磁盘空间与写入权限。",
    ),
    "proof_not_there": Words(
        "What the proof needs cannot be read: {what}.",
        "Check the path.",
        "无法读取验证所需的文件：{what}。",
        "请检查路径。",
    ),
    "proof_site": Words(
        "{what} is no site that this version knows.",
        "Ask `snowgate check` what is wrong with it.",
        "{what} 不是本版本能识别的站点配置。",
        "请用 snowgate check 查看问题。",
    ),
    "proof_capture": Words(
        "The capture cannot be explained: {what}.",
        "Give a pcap of Ethernet frames or IPv4 packets, as tcpdump -w writes it.",
        "无法解释该抓包文件：{what}。",
        "请提供 tcpdump -w 生成的以太网或 IPv4 抓包文件。",
    ),
    "proof_form": Words(
        "{what} is no result of a proof.",
        "Give the result.json of one.",
        "{what} 不是验证结果。",
        "请提供 result.json。",
    ),
    "proof_unsigned": Words(
        "The result in {what} is not the one that its device signed.",
        "Somebody changed it. Ask the site for its own copy.",
        "{what} 中的结果与设备签名不符。",
        "文件已被改动，请向站点索取原件。",
    ),
    "proof_other_device": Words(
        "The result in {what} was signed by another device.",
        "Compare the device's hash with the one that the city knows.",
        "{what} 中的结果由其他设备签名。",
        "请与市级平台登记的设备摘要核对。",
    ),
    "verdict_stale": inside("A proof came of a change that does not wait for one.", "收到了无变更等待的验证结果。"),
    "verdict_other": inside("A proof came of other rules than the change has.", "验证结果所属规则与变更不符。"),
    "request_verdict": inside(
        "A proof's verdict contradicts itself or names no cases.", "验证结果自相矛盾或格式有误。"
    ),
    "request_digest": inside("A proof names something that is no digest.", "验证结果中的摘要无效。"),
}
