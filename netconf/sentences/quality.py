"""What of a view is below what GB/T 28181 asks (``edge.rtp.quality``)."""

from __future__ import annotations

from netconf.sentences.form import Words

QUALITY: dict[str, Words] = {
    "quality_loss": Words(
        "More than one packet in a thousand is lost between recorder and box (GB/T 28181-2016 5.5).",
        "Look at the cable and the switch between them, and at how much the recorder sends at once.",
        "录像机到本机的丢包率超过千分之一（GB/T 28181-2016 5.5）。",
        "请检查两者之间的网线和交换机，以及录像机同时发送的路数。",
    ),
    "quality_jitter": Words(
        "Pictures come more than 50 ms unevenly from the recorder (GB/T 28181-2016 5.5).",
        "Look whether the recorder or the site network is overloaded.",
        "录像机送来的图像抖动超过 50 毫秒（GB/T 28181-2016 5.5）。",
        "请检查录像机或局域网是否过载。",
    ),
    "quality_first_picture": Words(
        "The first picture took longer than 4 s (GB/T 28181-2016 5.3).",
        "Set the camera's key frame interval to 2 s or less.",
        "首帧图像用时超过 4 秒（GB/T 28181-2016 5.3）。",
        "请将摄像机的关键帧间隔设为 2 秒以内。",
    ),
    "quality_viewer_loss": Words(
        "By the city's own word more than one packet in a thousand is lost between box and viewer (GB/T 28181-2016 5.5).",
        "Look at the uplink's line and how much it carries ([uplink] mbit_up), or let the city ask for media by TCP.",
        "据市级平台报告，本机到观看端的丢包率超过千分之一（GB/T 28181-2016 5.5）。",
        "请检查上联线路及其负载（[uplink] mbit_up），或由市级平台改用 TCP 点播。",
    ),
}
