"""The dashboard: pages in the browser that show everything and act on everything, kept up to date by the event log.

`views` has what pages show, as plain data without NiceGUI; `pages` puts it into the browser.
"""
