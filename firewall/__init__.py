"""What may pass: the site's configuration as one nftables ruleset a namespace, and pins for single calls' media.

The second, independent wall: the first is that there is no road. May import ``netconf``. Three words: a *rule* carries
the name of its policy; a *ruleset* is one namespace's text; a *pin* is a set element that dies by itself. Start with
``compile``.
"""
