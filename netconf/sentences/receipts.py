"""What can be wrong with the receipts, as ``netconf.words`` says it: sentence and advice, in English and Chinese."""

from __future__ import annotations

from netconf.sentences.form import Words

RECEIPTS = {
    "receipts_held": Words(
        "The disk takes no receipts: it is full or read-only. Views go on; their receipts wait in memory.",
        "Make room on the disk, or have it repaired.",
        "磁盘已满或只读，无法写入回执。观看继续，回执暂存内存。",
        "请清理或维修磁盘。",
    ),
    "receipts_lost": Words(
        "Receipts were lost: the disk took none for so long that the memory for them was full.",
        "Make room on the disk; the line that follows says how many there were.",
        "有回执丢失：磁盘长时间无法写入，暂存内存已满。",
        "请清理磁盘；恢复后的记录会写明丢失条数。",
    ),
    "receipts_untrusted": Words(
        "The disk cannot be trusted with receipts. Views go on; their receipts are in memory only.",
        "Have the disk replaced, then restart the box; what is in memory is lost then.",
        "磁盘不可信，无法保存回执。观看继续，回执仅在内存中。",
        "请更换磁盘后重启设备；内存中的回执届时会丢失。",
    ),
    "receipts_short": Words(
        "Receipts less than 190 days old were overwritten: there are more views than the stated size holds.",
        "Export the receipts more often, or find out who opens so many views.",
        "不足 190 天的回执被覆盖：观看次数超出设计容量。",
        "请更频繁地导出回执，或查明观看过多的原因。",
    ),
    "receipt_head_went_back": Words(
        "The receipts are older than those the keeper has seen: some were removed or written anew.",
        "Keep the disk as it is and run snowgate receipts verify.",
        "回执比守护进程所见的更旧：有记录被删除或重写。",
        "请保持磁盘原状并运行 snowgate receipts verify。",
    ),
    "receipt_head_not_kept": Words(
        "The keeper could not write down how far the receipts have come.",
        "Make room on the disk, or have it repaired.",
        "守护进程无法保存回执链头。",
        "请清理或维修磁盘。",
    ),
    "reading_unheard": Words(
        "The ferry does not answer, so that this reading could not be recorded; nothing is shown.",
        "Is the box running? Are you root? snowgate receipts verify needs no ferry.",
        "摆渡进程没有应答，无法记录本次查阅，故不显示。",
        "设备是否在运行？是否为 root？snowgate receipts verify 不需要它。",
    ),
    "reading_unrecorded": Words(
        "This reading cannot be recorded now, so nothing is shown.",
        "Look at snowgate status: the disk takes no receipts.",
        "目前无法记录本次查阅，故不显示。",
        "请看 snowgate status：磁盘无法写入回执。",
    ),
}
