"""What the registry, a concentrator and its agent refuse or report, as ``netconf.words`` says it."""

from __future__ import annotations

from netconf.sentences.form import Words, inside

CITY_HUB = {
    "network_full": Words(
        "The network {network} of concentrator {concentrator} has no address left; an address is never given twice.",
        "Add a concentrator with another network.",
        "集中器 {concentrator} 的网段 {network} 已无可用地址；地址从不重复分配。",
        "请新增使用其他网段的集中器。",
    ),
    "key_form": Words(
        "That is no WireGuard key: 32 octets in base64.",
        "Copy the whole line, with the = at its end.",
        "这不是 WireGuard 公钥（应为 32 字节的 base64）。",
        "请完整复制整行，包括末尾的 =。",
    ),
    "key_taken": Words(
        "Somebody has, or had, the WireGuard key that begins with {key}; a key never gets a second owner.",
        "Make a fresh key on the box. If the box was cloned from another's disk, do not put it into service.",
        "以 {key} 开头的 WireGuard 公钥已被使用或曾被使用；密钥不能有第二个所有者。",
        "请在设备上生成新密钥；若设备是克隆出来的，请勿投入使用。",
    ),
    "key_not_offered": Words(
        "The box of site {site} has not said which key its tunnel {tunnel} is to have next.",
        "Wait for its next report; it makes the key when it is asked to.",
        "站点 {site} 的设备尚未上报隧道 {tunnel} 的新公钥。",
        "请等待下一次上报；设备收到要求后会生成密钥。",
    ),
    "peer_unknown": Words(
        "Site {site} has no tunnel {tunnel}.",
        "Approve the site and give it the tunnel first.",
        "站点 {site} 没有隧道 {tunnel}。",
        "请先批准该站点并分配隧道。",
    ),
    "site_without_device": Words(
        "Site {site} has no device yet: nobody could open its secrets.",
        "Enrol the box first.",
        "站点 {site} 尚无设备，其密钥无人可解。",
        "请先完成设备注册。",
    ),
    "concentrator_unknown": Words(
        "There is no concentrator {concentrator}.",
        "See snowgate city concentrator list.",
        "集中器 {concentrator} 不存在。",
        "请查看 snowgate city concentrator list。",
    ),
    "concentrator_taken": Words(
        "There is a concentrator {concentrator} already.",
        "Choose another name.",
        "集中器 {concentrator} 已存在。",
        "请换一个名称。",
    ),
    "concentrator_network": Words(
        "The network {network} cannot be a concentrator's: too small, its inner address is not among its first nine, or it reaches into another's network.",
        "Choose a network of its own, such as 100.64.0.0/18, and its first address.",
        "网段 {network} 不能用于集中器：过小、内部地址不在前九个之内，或与其他网段重叠。",
        "请选用独立网段（如 100.64.0.0/18）及其首个地址。",
    ),
    "concentrator_endpoint": Words(
        "{endpoint} is no address and port.",
        "Write it like 192.0.2.10:51820.",
        "{endpoint} 不是“地址:端口”。",
        "请按 192.0.2.10:51820 的形式填写。",
    ),
    "concentrator_seal_key": Words(
        "The concentrator's own key is no P-256 key.",
        "Take what snowgate city concentrator prepare prints on its host.",
        "集中器自身的公钥不是 P-256 公钥。",
        "请使用该主机上 snowgate city concentrator prepare 的输出。",
    ),
    "concentrator_other_key": Words(
        "The request for a certificate is not made by the key of concentrator {concentrator}.",
        "Make it on that host with snowgate city concentrator prepare.",
        "证书请求不是由集中器 {concentrator} 的密钥签出的。",
        "请在该主机上用 snowgate city concentrator prepare 生成。",
    ),
    "concentrator_draining": Words(
        "Concentrator {concentrator} takes no more sites.",
        "Choose another one of its plane.",
        "集中器 {concentrator} 不再接收新站点。",
        "请选择同一平面的其他节点。",
    ),
    "concentrator_other_plane": Words(
        "Concentrator {concentrator} serves the tunnels {plane}, not {tunnel}.",
        "Choose one of that plane.",
        "集中器 {concentrator} 服务于 {plane}，不是 {tunnel}。",
        "请选择对应平面的节点。",
    ),
    "concentrator_rotates": Words(
        "Concentrator {concentrator} has two keys already.",
        "Finish that change of keys first; it drops the old key when no site is heard by it.",
        "集中器 {concentrator} 已有两个密钥。",
        "请先完成当前换钥；旧密钥在无站点使用后才会删除。",
    ),
    "concentrator_one_key": Words(
        "Concentrator {concentrator} has not made its second key, or has none.",
        "Ask it with rotate, and wait for its next report.",
        "集中器 {concentrator} 尚未生成第二个密钥。",
        "请先执行 rotate，并等待其下一次上报。",
    ),
    "concentrator_not_told": Words(
        "{count} sites of concentrator {concentrator} have not been offered its new key; without the old one a dark site stays away.",
        "Wait until the schedule has told them, and see the alert concentrator_untold; or finish --anyway.",
        "集中器 {concentrator} 仍有 {count} 个站点未下发新密钥；旧密钥结束后，离线站点将无法接入。",
        "请等待后台任务下发完成，并查看告警 concentrator_untold；确需结束请使用 finish --anyway。",
    ),
    "concentrator_prepared": Words(
        "That is not what prepare prints on a concentrator's host: {trouble}.",
        "Run snowgate city concentrator prepare there and bring its whole output.",
        "这不是集中器主机上 prepare 的输出：{trouble}。",
        "请在该主机执行 snowgate city concentrator prepare 并带回完整输出。",
    ),
    "concentrator_report": inside(
        "A report of concentrator {concentrator} cannot be read.", "集中器 {concentrator} 的上报无法解析。"
    ),
    "concentrator_not_yours": Words(
        "The certificate is not the one of concentrator {concentrator}.",
        "Each concentrator has its own; renew it with snowgate city concentrator certificate.",
        "所用证书不属于集中器 {concentrator}。",
        "每个节点使用各自的证书；请用 snowgate city concentrator certificate 重新签发。",
    ),
    "take_snapshot": inside(
        "The changes asked for are not there; the snapshot has them.", "所需变更已不在列表中，请取快照。"
    ),
    "hub_config_unreadable": Words(
        "The concentrator's file {file} cannot be read: {trouble}.",
        "Correct the file.",
        "无法读取集中器配置 {file}：{trouble}。",
        "请修正该文件。",
    ),
    "hub_config_field": Words(
        "That is not well-formed: {trouble}.",
        "See the example in docs/concentrator.md.",
        "格式不正确：{trouble}。",
        "请参考 docs/concentrator.md 中的示例。",
    ),
    "hub_unprepared": Words(
        "This host lacks a key, the city's key or a folder that the concentrator needs.",
        "Run snowgate city concentrator prepare here, and lay city.pub, ca.pem and certificate.pem beside the keys.",
        "本机缺少集中器所需的密钥、市平台公钥或目录。",
        "请在本机执行 snowgate city concentrator prepare，并放入 city.pub、ca.pem 和 certificate.pem。",
    ),
    "hub_key_damaged": Words(
        "A key file of this concentrator holds no key; it is not replaced by itself.",
        "Bring the file back from a backup, or change the key.",
        "集中器的密钥文件已损坏；系统不会自行更换。",
        "请从备份恢复，或更换密钥。",
    ),
    "hub_rules_refused": Words(
        "nftables does not take the concentrator's rules; it does not begin without them.",
        "See what nft says; the rules are text that it can be given by hand.",
        "nftables 拒绝了集中器规则；没有规则不会启动。",
        "请查看 nft 的提示，可手工加载规则排查。",
    ),
    "hub_device_refused": Words(
        "The WireGuard device does not do what it is told; it is tried again.",
        "See whether the kernel has WireGuard, or wireguard-go runs for this device.",
        "WireGuard 设备未执行命令；将重试。",
        "请检查内核是否支持 WireGuard，或该设备的 wireguard-go 是否在运行。",
    ),
    "hub_disk": Words(
        "The concentrator cannot keep what it was told, and so does not do it.",
        "See whether the disk is full or read-only.",
        "集中器无法保存收到的内容，因此未执行。",
        "请检查磁盘是否已满或只读。",
    ),
    "concentrator_named": Words(
        "A concentrator has a name of at most 64 characters, and the name of a tunnel at the sites, such as wg-a.",
        "Correct the name or the plane.",
        "集中器须有名称（不超过 64 个字符）和站点侧隧道名，例如 wg-a。",
        "请修改名称或平面。",
    ),
    "hub_begins": inside("The concentrator begins with what it had kept.", "集中器以已保存的内容启动。"),
    "hub_registry_away": Words(
        "The registry does not answer; all peers stay as they are.",
        "Nothing to do here; see the registry's host.",
        "注册中心没有应答；所有对端保持不变。",
        "此处无需处理；请检查注册中心主机。",
    ),
    "hub_drift": Words(
        "Somebody had changed the WireGuard device by hand; {steps} things were put back.",
        "Make changes at the registry.",
        "WireGuard 设备被人手工改动；已恢复 {steps} 处。",
        "请在注册中心修改。",
    ),
    "hub_key_made": inside("A second key was made, as the registry asked.", "已按注册中心要求生成第二个密钥。"),
    "hub_key_dropped": inside(
        "The old key was dropped: no site was heard by it any more.", "旧密钥已删除：已无站点使用。"
    ),
    "hub_endpoint_flips": Words(
        "A site's tunnel comes from two places in turns ({flips} times within a minute; a box that moves does so once): there are two boxes with one key.",
        "Find out which is the real one, revoke the site and enrol it anew.",
        "同一站点的隧道在两处之间来回切换（一分钟 {flips} 次）：存在两台使用同一密钥的设备。",
        "请查明真伪，撤销该站点并重新注册。",
    ),
    "hub_entry_form": inside(
        "What the registry says of a peer cannot be read; it is left out.", "注册中心给出的对端条目无法解析，已忽略。"
    ),
    "hub_entry_allowed": inside(
        "A peer was to have an address that is no site's of this concentrator; it is left out.",
        "对端地址不属于本节点的站点网段，已忽略。",
    ),
    "hub_key_twice": inside(
        "A peer was to have a key that another has, or the concentrator itself; it is left out.",
        "对端密钥与其他站点或本节点相同，已忽略。",
    ),
    "hub_address_twice": inside(
        "A peer was to have an address that another has; it is left out.", "对端地址与其他站点相同，已忽略。"
    ),
    "hub_site_twice": inside(
        "A list of peers names a site twice; the second is left out.", "对端列表中同一站点出现两次，第二条已忽略。"
    ),
    "hub_psk_unsealed": inside(
        "A peer's preshared key was not sealed to this concentrator; the peer is left out.",
        "对端的预共享密钥不是封装给本节点的，已忽略该对端。",
    ),
    "hub_epoch_old": Words(
        "A registry of an older epoch speaks; it is not heard.",
        "See whether two registries run, or a backup was restored without raising the epoch.",
        "收到较旧纪元的注册中心数据，已拒绝。",
        "请检查是否有两个注册中心在运行，或恢复备份时未提升纪元。",
    ),
    "hub_snapshot_old": Words(
        "A snapshot is older than what the concentrator has.",
        "See whether two registries run, or a backup was restored without raising the epoch.",
        "快照比本节点已有内容更旧，已拒绝。",
        "请检查是否有两个注册中心在运行，或恢复备份时未提升纪元。",
    ),
    "hub_snapshot_smaller": Words(
        "A snapshot lacks many peers without a word about them; all peers stay as they are.",
        "See whether the registry has lost data. If they are to go: snowgate city concentrator allow-smaller.",
        "快照缺少大量对端且未作说明；所有对端保持不变。",
        "请检查注册中心是否丢失数据；确需删除时执行 snowgate city concentrator allow-smaller。",
    ),
    "hub_feed_gap": inside(
        "Changes came with a gap between them; the snapshot is taken instead.", "变更列表不连续，改取快照。"
    ),
}
