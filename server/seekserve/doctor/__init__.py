"""`seekserve doctor`: what is open, old or wrong on this machine, and how to mend it.

`look` and its neighbours gather facts at the edges; the checks are pure, facts in and findings out.
"""
