"""The one process that holds keys: the CA's, and the one that layers, answers and peers are signed with.

Its socket takes a closed list of typed requests; each is judged again here, for who asks may have been taken over.
"""
