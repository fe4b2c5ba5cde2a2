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
    "verdict_stale": inside("A proof came of a change that does not wait for one.", "收到了无变更等待的验证结果。"),
    "verdict_other": inside("A proof came of other rules than the change has.", "验证结果所属规则与变更不符。"),
    "request_verdict": inside(
        "A proof's verdict contradicts itself or names no cases.", "验证结果自相矛盾或格式有误。"
    ),
    "request_digest": inside("A proof names something that is no digest.", "验证结果中的摘要无效。"),
}
