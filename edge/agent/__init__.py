"""The city's link: it tells the city how the box is, and hands the city's signed word to the keeper.

It decides nothing: what it carries is signed by the city and judged by the keeper. Three words: *report* (signed by the
device key), *layer* (the city's part of the configuration), *answer* (the city's word that a change has arrived).
"""
