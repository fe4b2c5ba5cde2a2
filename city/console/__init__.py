"""The console's pages (zh-CN, English): ask, show, explain. The same rules as the box's own pages.

Three words: a *page* reads the registry and shows it (``pages``, ``changes``, ``office``); an *act* is a form that a person
sends, with the right that it needs and a reason that is written down (``acts``); a *refusal* is a sentence, never a
traceback. Nothing is decided here: who may do what is ``city.registry.people``'s, what may be done is the registry's.

Start with ``app``.
"""
