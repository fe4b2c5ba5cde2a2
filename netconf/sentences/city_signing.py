"""What the city's signing process does not sign, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words, inside

CITY_SIGNING = {
    "sign_fields": inside(
        "The signing process was asked something that it does not know ({place}: {what}).",
        "签名进程收到无法识别的请求（{place}：{what}）。",
    ),
    "ca_not_begun": Words(
        "There is no fresh CA that could take the place of the one of the moment.",
        "Two persons agree first: `snowgate city approval ask ca --reason …`, `approval yes`; then `snowgate city ca renew`.",
        "没有可供切换的新 CA。",
        "请先由两人同意：`snowgate city approval ask ca --reason …`、`approval yes`，再执行 `snowgate city ca renew`。",
    ),
    "ca_bundle_void": Words(
        "The bundle that was printed for {site} names the CA before, and is void.",
        "Print another: `snowgate city claim {site}`.",
        "为 {site} 打印的登记包使用旧 CA，已作废。",
        "请重新生成：`snowgate city claim {site}`。",
    ),
    "ca_concentrator_before": Words(
        "Concentrator {concentrator} still has a certificate of the CA before, and would be shut out by another renewal.",
        "It renews it by itself; at once: `snowgate city concentrator certificate {concentrator} FILE`, laid beside its keys.",
        "集中器 {concentrator} 仍在使用上一个 CA 签发的证书，再次更新 CA 会使其无法接入。",
        "它会自行续期；如需立即更换：`snowgate city concentrator certificate {concentrator} FILE`，并放到其密钥目录。",
    ),
    "ca_too_soon": Words(
        "The fresh CA is too young: not every server of the city need have heard of it.",
        "Wait until {minutes} minutes have passed since it was made.",
        "新 CA 刚刚生成，各服务器可能尚未获知。",
        "请在生成 {minutes} 分钟后再切换。",
    ),
    "sign_old": Words(
        "A newer layer of this site has been signed already ({epoch}.{revision}).",
        "If the registry was restored from a backup: `snowgate city restored`; boxes then take its lower revisions.",
        "该站点已签发过更新的配置层（{epoch}.{revision}）。",
        "如登记库是从备份恢复的，请执行 `snowgate city restored`，设备才会接受较低的版本号。",
    ),
    "sign_layer_unfit": Words(
        "The city's layer of this site is not one that a box would take ({place}: {what}).",
        "Correct the template or the site's own fields.",
        "该站点的市级配置层设备不会接受（{place}：{what}）。",
        "请修改模板或站点自有字段。",
    ),
    "sign_long": Words(
        "What should be signed is longer than its receiver reads.",
        "Shorten the template: lists of cameras or networks are the long parts.",
        "待签内容超过接收方的长度上限。",
        "请精简模板，通常是通道或网段列表过长。",
    ),
    "sign_peer_wide": inside(
        "A concentrator was to send more than single addresses to site {site}.",
        "请求让集中器把整段地址发往站点 {site}。",
    ),
    "sign_peer_twice": Words(
        "A concentrator was to know one key or one address for two sites ({site} and {other}).",
        "Find out which of the two is the copy, and revoke it.",
        "请求让集中器为两个站点（{site} 与 {other}）使用同一密钥或地址。",
        "请查明哪一个是克隆设备并吊销。",
    ),
    "sign_days": inside("A certificate was asked for too long a time.", "请求的证书有效期过长。"),
    "sign_clock": Words(
        "By this machine's clock the city's CA is not valid now; no certificate was made.",
        "Set the clock of the machine of `snowgate city sign`. If it is right, the CA has run out after ten years.",
        "按本机时钟，城市 CA 当前不在有效期内；未签发证书。",
        "请校准运行 `snowgate city sign` 的主机时钟；若时钟无误，则 CA 的十年有效期已满。",
    ),
    "sign_names": inside(
        "A certificate was asked with names where there are none, or a server's without.",
        "请求的证书名称与其用途不符。",
    ),
    "sign_key_form": inside("What secrets should be sealed to is no P-256 key.", "用于密封口令的密钥不是 P-256 公钥。"),
    "csr_form": Words(
        "The request for a certificate is none, or its key is not of the kind that we know (P-256).",
        "Update the box's software, then enrol it again.",
        "证书请求无效，或其密钥类型不受支持（应为 P-256）。",
        "请升级设备软件后重新注册。",
    ),
    "sign_not_owner": inside(
        "A process that may ask for signatures asked for what the machine's owner alone may have done ({what}).",
        "有权请求签名的进程请求了仅限本机管理员的操作（{what}）。",
    ),
    "sign_stranger": inside(
        "Somebody who may not ask came to the signing process (uid {uid}).", "无权者连接了签名进程（uid {uid}）。"
    ),
    "sign_broken": inside("The signing process could not answer a request.", "签名进程未能应答一个请求。"),
    "signer_away": Words(
        "The signing process does not answer.",
        "See whether `snowgate city sign` runs; nothing is lost, ask again afterwards.",
        "签名进程无应答。",
        "请检查 `snowgate city sign` 是否运行；数据无损失，恢复后重试即可。",
    ),
}
