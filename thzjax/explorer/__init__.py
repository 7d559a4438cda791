"""`thzjax explore`: a local page on which a scenario is moved by hand; what it shows is `experiment.explore_numbers`.

`markup` and `drawing` turn what was seen into text and columns, `page` is one browser tab, `server` hands out pages on
this machine alone. Needs the extra `explore`.
"""
