"""The only room that touches the kernel: small, closed and suspicious.

One child a namespace, a *hand*, is forked at the start, enters it and opens netlink and nft; then all give up every
right but CAP_NET_ADMIN. Requests are typed and few (``edge.control.wire``) and re-checked against the confirmed site.
Three words: *confirmed* is the site that holds; a *hand* works in one namespace; a *pin* is one call's hole.
Start with ``keeper``.
"""
