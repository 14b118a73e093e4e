"""Stand-ins for research/slim's packages, for scripts that come without them.

``nets``, ``preprocessing``, ``datasets`` and ``deployment`` bear the names, arguments and
results of the files of that name in tensorflow/models' research/slim. The networks are this
package's and tf_slim's; the rest is written anew from the published formulas. What changed
between versions of research/slim follows its last one, and an argument whose position
changed is taken by keyword only.
"""
