"""The part of this room that touches the kernel: links through pyroute2, sysctls, WireGuard through ``wg``.

Only the keeper, the lab and the proof may import it; each works in the namespace of its process. Start with ``links``.
"""
