"""Reports: tables for the terminal, maps, what a notebook shows, and one self-contained HTML page.

Reads a `Sweep` or a `Verdict`; of the package, the demo, the plugin and the command line import it. Names are imported
from the module that defines them: a table in a notebook does not load matplotlib.
"""
