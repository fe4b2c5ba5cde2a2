"""Faults: why the city has no picture, or no registration of the site, said from evidence.

Words: *evidence* (what the programs say of themselves, typed), a *trouble* (something does not work: a registration, a
recorder, a view), its *cause* (one finding a trouble, with the evidence as its facts). Pure: the doctor, the owner's page
and the agent's report all ask ``causes``. The sides keep their troubles in ``noted``.
"""
