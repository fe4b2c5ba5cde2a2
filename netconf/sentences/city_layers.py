"""What the city's registry does not do with layers, keys and rollouts, and why; and what boxes and cities say wrongly."""

from __future__ import annotations

from netconf.sentences.form import Words

CITY_LAYERS = {
    "bundle_form": Words(
        "This is no enrolment bundle, or it was cut short.",
        "Copy the whole line that begins with SNOWGATE1: or scan the code again.",
        "这不是注册凭据，或内容不完整。",
        "请完整复制以 SNOWGATE1: 开头的一行，或重新扫码。",
    ),
    "enrol_form": Words(
        "An enrolment request has another form than expected.",
        "Use the same version on both sides, or a newer one at the city.",
        "注册请求格式不符。",
        "请使两侧版本一致，或先升级市级平台。",
    ),
    "enrol_unsigned": Words(
        "An enrolment request is not signed by the device's key that it names.",
        "Enrol the box again; if it stays so, somebody is in between.",
        "注册请求未由其所列设备密钥签名。",
        "请重新注册设备；如仍如此，可能存在中间人。",
    ),
    "peers_other_concentrator": Words(
        "Peers came that are another concentrator's.",
        "Check the id in this concentrator's configuration.",
        "收到的是其他集中器的对端列表。",
        "请检查本集中器配置中的编号。",
    ),
    "site_not_active": Words(
        "The site has no approved box.",
        "Approve its box first.",
        "该站点尚无已批准的设备。",
        "请先批准其设备。",
        "Site: {site}.",
        "站点：{site}。",
    ),
    "layer_refused": Words(
        "The configuration does not fit this site, so nothing was signed.",
        "Mend the template or the site's own fields.",
        "该配置不适用于此站点，未签发。",
        "请修改模板或站点自有字段。",
        "{site}: {code} at {path}.",
        "{site}：{path} 处 {code}。",
    ),
    "layer_unknown": Words(
        "That revision is not kept any more, or never was.",
        "Choose one of the site's time line.",
        "该版本不存在或已不再保留。",
        "请从站点时间线中选择。",
        "{site}, revision {revision}.",
        "{site}，版本 {revision}。",
    ),
    "reason_missing": Words(
        "A reason is wanted: it stays in the record.",
        "Say in a few words why.",
        "必须填写原因：将记入审计。",
        "请简要说明原因。",
    ),
    "reason_long": Words(
        "The reason is too long.", "Use at most {most} characters.", "原因过长。", "请不超过 {most} 个字符。"
    ),
    "tunnel_unknown": Words(
        "The site has no such tunnel.",
        "Choose one of its tunnels.",
        "该站点没有此隧道。",
        "请选择其现有隧道。",
        "{site}: {tunnel}.",
        "{site}：{tunnel}。",
    ),
    "rotation_runs": Words(
        "A key of this site is being exchanged already.",
        "Wait until it is done.",
        "该站点正在轮换密钥。",
        "请等待完成。",
        "Site: {site}.",
        "站点：{site}。",
    ),
    "other_tunnel_dead": Words(
        "The site's other tunnel does not answer, so this key is not exchanged: it would be its last way.",
        "Bring the other tunnel back first.",
        "该站点的另一条隧道无应答，不轮换此密钥，否则会失去唯一通路。",
        "请先恢复另一条隧道。",
        "{site}: {tunnel}.",
        "{site}：{tunnel}。",
    ),
    "template_unknown": Words(
        "There is no such version of a template.",
        "Choose one of the list.",
        "没有该模板版本。",
        "请从列表中选择。",
        "{template}, version {version}.",
        "{template}，版本 {version}。",
    ),
    "template_not_approved": Words(
        "A second person must approve this version first.",
        "Ask somebody else to approve it.",
        "该版本须先由第二人批准。",
        "请由他人批准。",
        "{template}, version {version}.",
        "{template}，版本 {version}。",
    ),
    "rollout_runs": Words(
        "A rollout of this template is not over yet.",
        "Let it end, or roll it back.",
        "该模板已有未结束的下发。",
        "请等待结束或回退。",
        "Template: {template}.",
        "模板：{template}。",
    ),
    "rollout_empty": Words(
        "No active site uses this template.",
        "Give it to a site first.",
        "没有在用站点使用该模板。",
        "请先分配给站点。",
        "Template: {template}.",
        "模板：{template}。",
    ),
    "rollout_unknown": Words(
        "There is no such rollout.",
        "Choose one of the list.",
        "没有该下发任务。",
        "请从列表中选择。",
        "Number {rollout}.",
        "编号 {rollout}。",
    ),
    "rollout_state": Words(
        "That cannot be done with the rollout as it is.",
        "Look at its state.",
        "该下发任务当前状态不允许此操作。",
        "请查看其状态。",
        "Number {rollout} is {state}: {event}.",
        "编号 {rollout} 处于 {state}：{event}。",
    ),
}
